/*
 * Makes system calls: getppid N times, some that fail and some whose arguments are known. On x86-64 also a
 * call of a 32-bit program, whose number is that of another call of a 64-bit one.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

static char path[] = "/nonexistent/file";

int main(int argc, char **argv)
{
	long n = argc > 1 ? atol(argv[1]) : 1;
	path[0] = '/'; /* its page is in memory */
	for (long i = 0; i < n; i++)
		syscall(SYS_getppid, 1, 2, 3);
	syscall(SYS_openat, AT_FDCWD, path, O_RDONLY, 5, 6, 7);
	syscall(SYS_write, -1, path, 3);
	syscall(SYS_dup3, 1, 77, O_CLOEXEC);
#ifdef __x86_64__
	int result;
	/* getppid is 64 there, which is semget here */
	__asm__ volatile("int $0x80" : "=a"(result) : "a"(64) : "memory", "r8", "r9", "r10", "r11");
#endif
	return 0;
}
