/* What commits is not speculative. */
BEGIN { commit(1); speculate(1); }
