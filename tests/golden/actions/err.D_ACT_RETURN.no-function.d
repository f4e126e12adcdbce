/* return() changes what a function of the kernel gives back. */
BEGIN { return(1); }
