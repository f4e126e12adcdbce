/* Keys are cut to their type, and the default format shows them by their size as DTrace 2.0.7 does. */
BEGIN {
 @a[(char)-1] = count(); @b[(short)-1] = count(); @c[-1] = count(); @d[4294967295U] = count(); @e[-1L] = count();
 @f[(uint64_t)-1] = count(); @g[(uint8_t)200] = count(); @h[(uint16_t)-1] = count();
 this->i = 2147483647; @k[this->i * 4] = count(); this->c = (char)100; @l[this->c + this->c] = count();
 @m["a", (char)-1, -5] = count(); @o[this->c + this->c] = count(); @p[4294967295U] = count();
 printa("%d %@d\n", @o); printa("%u %@d\n", @p); printa("%x %@d\n", @o);
 x[2147483647 + 1] = 5; printf("%d\n", x[this->i + 1]); y[(char)1] = 3; printf("%d\n", y[257]);
 printf("%d %d\n", sizeof("abc"), this->c + this->c); trace(this->i * 4); trace((char)-1); exit(0); }
