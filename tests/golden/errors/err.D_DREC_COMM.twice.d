/* A clause commits one speculation. */
BEGIN { if (1) { commit(1); } else { commit(2); } }
