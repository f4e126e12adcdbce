/* loads SECONDS LIBPYTHON...: loads one interpreter after the other while it runs, each so many seconds
   after the one before, and has each call work() a hundred times. */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int main(int argc, char **argv) {
    for (int i = 2; i < argc; i++) {
        usleep(atof(argv[1]) * 1e6);
        void *library = dlopen(argv[i], RTLD_NOW | RTLD_LOCAL);
        if (library == NULL) {
            fprintf(stderr, "%s\n", dlerror());
            return 1;
        }
        void (*initialize)(int) = (void (*)(int))dlsym(library, "Py_InitializeEx");
        int (*run)(const char *) = (int (*)(const char *))dlsym(library, "PyRun_SimpleString");
        initialize(0);
        if (run("def work(): pass\nfor _ in range(100): work()\n") != 0)
            return 1;
    }
    return 0;
}
