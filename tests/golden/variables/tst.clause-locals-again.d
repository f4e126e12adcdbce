/* this-> variables are empty at the start of each firing, strings too. */
this string text;
self string own;
BEGIN { n = 0; }
tick-1ms /n < 3/ { printf("[%s]\n", this->text); this->text = "left by the firing before"; n++; }
tick-1ms /n == 3/ { exit(0); }
