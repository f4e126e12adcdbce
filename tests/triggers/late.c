/*
 * Fires a USDT probe `hit` of a provider of its own, with one argument, again and again until it is
 * killed: a program that may start while tracing goes on. `PROVIDER` is the provider's name, `ARGS`
 * where the argument is, as a note says it.
 */
#include <unistd.h>

#ifndef PROVIDER
#define PROVIDER "late"
#endif
#ifndef ARGS
#define ARGS "8@$7"
#endif

int main(void)
{
	for (;;) {
		__asm__ volatile("990: nop\n"
				 ".pushsection .note.stapsdt,\"\",\"note\"\n"
				 ".balign 4\n"
				 ".4byte 992f-991f, 994f-993f, 3\n"
				 "991: .asciz \"stapsdt\"\n"
				 "992: .balign 4\n"
				 "993: .8byte 990b, _.stapsdt.base, 0\n"
				 ".asciz \"" PROVIDER "\"\n.asciz \"hit\"\n.asciz \"" ARGS "\"\n"
				 "994: .balign 4\n"
				 ".popsection\n"
				 ".pushsection .stapsdt.base,\"aG\",\"progbits\",.stapsdt.base,comdat\n"
				 ".weak _.stapsdt.base\n"
				 "_.stapsdt.base: .space 1\n"
				 ".popsection\n");
		usleep(10000);
	}
}
