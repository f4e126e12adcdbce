/* this-> variables last for one firing, through all its clauses. */
this int number;
this string text;
BEGIN { this->number = 42; this->text = "kept"; this->implied = 1; }
BEGIN { printf("%d %s %d\n", this->number, this->text, this->implied); this->number++; }
BEGIN { printf("%d\n", this->number); exit(0); }
