/* Strings cannot be added. */
BEGIN { x = "a" * "b"; }
