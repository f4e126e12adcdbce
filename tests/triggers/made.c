/*
 * made SECONDS LIBRARY: as libstapsdt does, loads a library with probes that is in no file system: a copy
 * of LIBRARY in memory (memfd_create), loaded by the name of its descriptor. Calls its fire() five times
 * then, so many seconds later. With -DLIBRARY, that library: fire() fires `made:::hit` with its argument.
 */
#ifdef LIBRARY
void fire(int number)
{
	__asm__ volatile("990: nop\n"
			 ".pushsection .note.stapsdt,\"\",\"note\"\n"
			 ".balign 4\n"
			 ".4byte 992f-991f, 994f-993f, 3\n"
			 "991: .asciz \"stapsdt\"\n"
			 "992: .balign 4\n"
			 "993: .8byte 990b, _.stapsdt.base, 0\n"
			 ".asciz \"made\"\n.asciz \"hit\"\n.asciz \"-4@%[number]\"\n"
			 "994: .balign 4\n"
			 ".popsection\n"
			 ".pushsection .stapsdt.base,\"aG\",\"progbits\",.stapsdt.base,comdat\n"
			 ".weak _.stapsdt.base\n"
			 ".hidden _.stapsdt.base\n"
			 "_.stapsdt.base: .space 1\n"
			 ".popsection\n" ::[number] "r"(number));
}
#else
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	char buffer[4096], name[64];
	ssize_t bytes;
	int from = open(argv[2], O_RDONLY), made = memfd_create("probes", 0);

	if (argc != 3 || from < 0 || made < 0)
		return 1;
	while ((bytes = read(from, buffer, sizeof(buffer))) > 0)
		if (write(made, buffer, bytes) != bytes)
			return 1;
	snprintf(name, sizeof(name), "/proc/self/fd/%d", made);
	void *library = dlopen(name, RTLD_NOW);
	if (library == NULL) {
		fprintf(stderr, "%s\n", dlerror());
		return 1;
	}
	void (*fire)(int) = (void (*)(int))dlsym(library, "fire");
	usleep(atof(argv[1]) * 1e6);
	for (int i = 1; i <= 5; i++)
		fire(i);
	return 0;
}
#endif
