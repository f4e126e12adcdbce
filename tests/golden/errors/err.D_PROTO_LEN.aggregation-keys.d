/* An aggregation's keys keep their types. */
BEGIN { @a["x"] = count(); @a["x", 1] = count(); }
