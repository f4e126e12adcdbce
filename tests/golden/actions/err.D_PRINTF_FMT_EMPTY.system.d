/* There is no empty command. */
BEGIN { system(""); }
