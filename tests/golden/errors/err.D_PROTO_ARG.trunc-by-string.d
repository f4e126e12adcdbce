/* trunc counts in numbers. */
BEGIN { @a = count(); trunc(@a, "x"); }
