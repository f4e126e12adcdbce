/*
 * Fires USDT probes of its own: test:one twice from two places each time with different argument
 * locations, test:guarded (with a semaphore) once where it is enabled.
 */
#include <stdint.h>

#define PROBE(name, semaphore, args, ...)                                                          \
	__asm__ volatile("990: nop\n"                                                              \
			 ".pushsection .note.stapsdt,\"\",\"note\"\n"                              \
			 ".balign 4\n"                                                             \
			 ".4byte 992f-991f, 994f-993f, 3\n"                                        \
			 "991: .asciz \"stapsdt\"\n"                                               \
			 "992: .balign 4\n"                                                        \
			 "993: .8byte 990b, _.stapsdt.base, " semaphore "\n"                       \
			 ".asciz \"test\"\n.asciz \"" name "\"\n.asciz \"" args "\"\n"             \
			 "994: .balign 4\n"                                                        \
			 ".popsection\n"                                                           \
			 ".ifndef _.stapsdt.base\n"                                                \
			 ".pushsection .stapsdt.base,\"aG\",\"progbits\",.stapsdt.base,comdat\n"   \
			 ".weak _.stapsdt.base\n"                                                  \
			 "_.stapsdt.base: .space 1\n"                                              \
			 ".popsection\n"                                                           \
			 ".endif\n" ::__VA_ARGS__)

uint16_t test_guarded_semaphore __attribute__((section(".probes"))) __attribute__((used));

struct pair {
	int32_t first;
	int64_t second;
};

static void __attribute__((noinline)) fire(struct pair *pair, const char *text)
{
	PROBE("one", "0", "-4@%[a] 8@%[b] 8@%[c]", [a] "r"(pair->first), [b] "r"(pair->second), [c] "r"(text));
}

/* A string on a page that nobody has read yet cannot be read by a probe either. */
static const char *touched(const char *text)
{
	(void)*(const volatile char *)text;
	return text;
}

int main(void)
{
	struct pair pair = {-7, 1L << 40};

	for (int i = 0; i < 2; i++) {
		fire(&pair, touched("by register"));
		PROBE("one", "0", "-4@%[a] 8@$5 8@%[c]", [a] "m"(pair.first), [c] "r"(touched("by memory")));
	}
	if (*(volatile uint16_t *)&test_guarded_semaphore)
		PROBE("guarded", "test_guarded_semaphore", "-1@$-1 2@$65535", "r"(0));
	return 3;
}
