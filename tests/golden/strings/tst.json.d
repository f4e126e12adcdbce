/* json() finds parts of a text, constant or not. */
#pragma D option strsize=512

BEGIN
{
	text = "{ \"ok\": { \"ds_state\": [ { \"n\": 5 }, \"a\\\"b\", [true, null] ] }, \"x\": \"y\" }";
	this->text = text;
	printf("[%s]\n", json(text, "x"));
	printf("[%s]\n", json(this->text, "ok.ds_state[0]"));
	printf("[%s]\n", json(text, "ok.ds_state[0].n"));
	printf("[%s]\n", json(text, "ok.ds_state[1]"));
	printf("[%s]\n", json(text, strjoin("ok.ds_state", "[2][0]")));
	printf("[%s]\n", json(text, "nosuch"));
	n = strlen(json("[10, 200]", "[1]"));
	trace(n);
	printf("\n%s\n", json(json(text, "ok"), "ds_state[2]"));
	exit(0);
}
