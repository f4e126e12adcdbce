/* A pointer to a translated struct keeps its translator through inlines, their parameters and variables. */
typedef struct shown { int twice; string name; } shown_t;
translator shown_t < int n > { twice = n * 2; name = n == 7 ? "seven" : "other"; };
inline shown_t *current = xlate <shown_t *> (7);
inline shown_t numbered[int n] = xlate <shown_t> (n + 1);
inline int again[int n] = current->twice * n;

BEGIN
{
	this->s = current;
	self->s = xlate <shown_t *> (8);
	printf("%d %s\n", current->twice, current->name);
	printf("%d %s\n", this->s->twice, this->s->name);
	printf("%d %s\n", self->s->twice, (*self->s).name);
	printf("%d %d\n", numbered[20].twice, again[3]);
	printf("%s\n", (this->n = 7) == 7 ? numbered[this->n - 1].name : "none");
	exit(0);
}
