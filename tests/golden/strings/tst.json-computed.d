/* needs: frames (Linux 5.17) */
/* A part of a JSON text that only the probe knows, in variables, predicates and keys. */
BEGIN
{
	line[0] = "{\"level\": \"info\", \"user\": {\"name\": \"ann\", \"ids\": [3, 5, 8]}}";
	line[1] = "{\"level\": \"error\", \"user\": {\"name\": \"bob\", \"ids\": []}}";
	path = "user.ids[1]";
	i = 0;
}

tick-10ms
{
	level = json(line[i], "level");
	self->id = json(line[i], path);
	printf("%s %s [%s]\n", level, json(line[i], "user.name"), self->id);
}

tick-10ms
/json(line[i], "level") == "error"/
{
	printf("the error's ids: %s\n", json(line[i], "user.ids"));
}

tick-10ms
{
	@[json(line[i], "user.name")] = sum(strtoll(json(line[i], "user.ids[2]")));
}

tick-10ms
/json(line[i], "user.ids[0]") == NULL/
{
	exit(0);
}

tick-10ms
{
	i++;
}
