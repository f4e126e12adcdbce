/* self-> variables and arrays belong to the thread. */
self int declared;
self string name;
BEGIN
{
	printf("%d %d\n", self->declared, self->name == NULL);
	self->declared = 3; self->name = "me"; self->implied = 4;
	self->list["a"] = 1; self->list["b"] = 2;
}
BEGIN
{
	printf("%d [%s] %d %d %d %d\n", self->declared, self->name, self->implied, self->list["a"],
	    self->list["b"], self->list["c"]);
	self->declared += self->implied; self->name = "";
}
BEGIN { printf("%d [%s]\n", self->declared, self->name); exit(0); }
