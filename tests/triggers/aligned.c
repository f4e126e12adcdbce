/* Functions whose stack is found through other registers than rsp and rbp, each called once by main():
 *
 *   aligned()   is compiled with a local variable that is aligned, and has an argument on the stack: the compiler keeps
 *               the address of the frame in r10, and later in memory below rbp
 *   kept()      keeps the old stack pointer in memory above the new one, as the assembly of libcrypto does
 */
#include <stdio.h>

static __attribute__((noinline, noclone)) void use(char *bytes)
{
	__asm__ volatile("" : : "r"(bytes) : "memory");
}

__attribute__((noinline)) long aligned(long a, long b, long c, long d, long e, long f, long on_stack)
{
	char bytes[64] __attribute__((aligned(64)));
	use(bytes);
	return a + b + c + d + e + f + on_stack;
}

void kept(void);
__asm__(".text\n"
	".globl kept\n"
	".type kept, @function\n"
	"kept:\n"
	"	.cfi_startproc\n"
	"	mov %rsp, %rax\n"
	"	.cfi_def_cfa_register %rax\n"
	"	sub $128, %rsp\n"
	"	and $-64, %rsp\n"
	"	mov %rax, 64(%rsp)\n"
	/* DW_CFA_def_cfa_expression: *(rsp + 64) + 8 */
	"	.cfi_escape 0x0f, 0x06, 0x77, 0xc0, 0x00, 0x06, 0x23, 0x08\n"
	"	xor %eax, %eax\n"
	"	mov 64(%rsp), %rsp\n"
	"	.cfi_def_cfa %rsp, 8\n"
	"	ret\n"
	"	.cfi_endproc\n"
	".size kept, .-kept\n");

int main(void)
{
	long sum = aligned(1, 2, 3, 4, 5, 6, 7);
	kept();
	printf("%ld\n", sum);
	return 0;
}
