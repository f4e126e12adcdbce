/* Strings cannot be multiplied. */
BEGIN { x = "a" * "b"; }
