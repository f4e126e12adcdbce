/* A cast names a type that exists. */
BEGIN { trace((nosuch_t)1); }
