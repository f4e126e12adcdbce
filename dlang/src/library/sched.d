/* The CPU that fires. Linux has no processor sets and no lgroups: each CPU is in number 0. */

typedef id_t chipid_t;
typedef id_t lgrp_id_t;

typedef struct cpuinfo {
	processorid_t cpu_id;
	psetid_t cpu_pset;
	chipid_t cpu_chip;
	lgrp_id_t cpu_lgrp;
} cpuinfo_t;

typedef cpuinfo_t *cpuinfo_t_p;

translator cpuinfo_t < processorid_t number > {
	cpu_id = number;
	cpu_pset = 0;
	cpu_lgrp = 0;
};

inline cpuinfo_t *curcpu = xlate <cpuinfo_t *> (cpu);
inline psetid_t pset = 0;
inline lgrp_id_t lgrp = 0;
