/* The probes of orders.c. */
typedef struct order { int id; } order_t;

provider orders {
	probe taken(order_t *, int id);
	probe bill__paid(int id, char *who) : (char *who, int id);
	probe closed();
};
