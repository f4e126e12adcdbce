/* Uses the header that `rdtrace -h -s orders.d` makes. */
#include "orders.h"

void other_file(void);

#ifdef OTHER
/* The header in a second file of the program. */
void other_file(void)
{
	ORDERS_CLOSED();
}
#else
#include <stdio.h>

typedef struct order { int id; } order_t;

int main(void)
{
	order_t order = { 7 };
	char who[] = "me"; /* in memory that has been written: it is there when it is read */
	int asked = 0;
	for (int i = 0; i < 3; i++) {
		ORDERS_TAKEN(&order, order.id + i);
		if (ORDERS_BILL_PAID_ENABLED()) {
			asked++;
			ORDERS_BILL_PAID(i, who);
		}
	}
	other_file();
	printf("asked %d of %s\n", asked, who);
	return 0;
}
#endif
