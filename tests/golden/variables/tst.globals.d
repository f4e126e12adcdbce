/* Globals begin at zero and keep what clauses store. */
int declared;
string text;
BEGIN { printf("%d [%s]\n", declared, text); declared = 5; text = "stored"; other = -1; }
BEGIN { declared++; printf("%d [%s] %d\n", declared, text, other); }
BEGIN { copy = text; text = "changed"; printf("%s %s\n", copy, text); exit(0); }
END { printf("%d %s\n", declared, text); }
