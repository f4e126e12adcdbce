/* What END adds is printed too. */
BEGIN { @["begin"] = count(); exit(0); }
END { @["end"] = count(); @["end"] = count(); }
