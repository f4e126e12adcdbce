/* A probe's name may be written as in the ELF note, with two underscores. */
/* trigger: calls.py 3 */
python$target:::function__entry /copyinstr(arg1) == "inner"/ { @ = count(); }
