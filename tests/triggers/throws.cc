// Functions that exceptions leave, and one that ends in a call of another.

#include <cstdio>
#include <stdexcept>
#include <string>

extern "C" {

[[gnu::noinline]] int thrower(int n) {
    if (n > 3)
        throw std::runtime_error("too many");
    return n;
}

[[gnu::noinline]] int middle(int n) {
    std::string held(static_cast<std::size_t>(n) + 40, 'x');
    return thrower(n) + static_cast<int>(held.size());
}

[[gnu::noinline]] int ends_in_a_call(int n) { return thrower(2 * n); }

}

int main() {
    int caught = 0;
    for (int n = 0; n < 6; n++) {
        for (auto function : {middle, ends_in_a_call}) {
            try {
                function(n);
            } catch (const std::exception &) {
                caught++;
            }
        }
    }
    std::printf("caught %d\n", caught);
}
