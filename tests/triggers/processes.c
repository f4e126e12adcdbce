/*
 * Starts processes and a thread, and sends signals, each a known number of times:
 *
 *     a thread; a child that becomes /bin/true, after it has tried to become what is not there; a child that
 *     writes to address 0
 *     SIGUSR1 to a handler, SIGUSR2 to nobody, SIGALRM to who waits for it
 *     N times sched_yield(), three short sleeps
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* Written to before they are used, so that their page is in memory. */
static char missing[] = "/nonexistent/program";
static char program[] = "/bin/true";

static void handler(int signal)
{
	(void)signal;
}

static void *thread(void *argument)
{
	return argument;
}

static void wait_for(pid_t child)
{
	waitpid(child, NULL, 0);
}

int main(int argc, char **argv)
{
	long n = argc > 1 ? atol(argv[1]) : 1;
	char *nobody[] = { "nobody", NULL };
	pthread_t started;
	sigset_t alarm;

	pthread_create(&started, NULL, thread, NULL);
	pthread_join(started, NULL);

	missing[0] = program[0] = '/';
	pid_t child = fork();
	if (child == 0) {
		missing[0] = program[0] = '/';
		execv(missing, nobody);
		execv(program, nobody);
		_exit(1);
	}
	wait_for(child);

	child = fork();
	if (child == 0) {
		prctl(PR_SET_DUMPABLE, 0);
		*(volatile int *)0 = 1;
		_exit(1);
	}
	wait_for(child);

	signal(SIGUSR1, handler);
	kill(getpid(), SIGUSR1);
	signal(SIGUSR2, SIG_IGN);
	kill(getpid(), SIGUSR2);
	sigemptyset(&alarm);
	sigaddset(&alarm, SIGALRM);
	sigprocmask(SIG_BLOCK, &alarm, NULL);
	kill(getpid(), SIGALRM);
	sigtimedwait(&alarm, NULL, NULL);

	for (long i = 0; i < n; i++)
		sched_yield();
	for (int i = 0; i < 3; i++)
		usleep(1000);
	return 0;
}
