/*
 * Calls probed() with the addresses that backtrace() gives there: from main(), from a comparison that
 * the C library calls, from a signal's handler, and from another thread.
 */
#include <execinfo.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

__attribute__((noinline, noclone)) void probed(void **frames, int n)
{
	__asm__ volatile("" ::"r"(frames), "r"(n) : "memory");
}

static __attribute__((noinline)) void deep(int n)
{
	volatile char room[40 + 8 * n];
	void *frames[32];
	room[0] = (char)n;
	if (n > 0) {
		deep(n - 1);
		room[1] = room[0];
		return;
	}
	probed(frames, backtrace(frames, 32));
	room[2] = room[0];
}

static int compare(const void *a, const void *b)
{
	(void)a;
	(void)b;
	deep(2);
	return 0;
}

static void handler(int signal)
{
	(void)signal;
	deep(1);
}

static void *thread(void *unused)
{
	deep(3);
	return unused;
}

int main(void)
{
	int two[2] = {1, 2};
	pthread_t other;
	deep(4);
	qsort(two, 2, sizeof(two[0]), compare);
	signal(SIGUSR1, handler);
	raise(SIGUSR1);
	pthread_create(&other, NULL, thread, NULL);
	pthread_join(other, NULL);
	return 0;
}
