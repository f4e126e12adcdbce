/* Blocks, devices and files: the arguments of the io provider's probes, and the files that a process has open. */

typedef struct bufinfo {
	int b_flags;
	size_t b_bcount;
	caddr_t b_addr;
	uint64_t b_lblkno;
	uint64_t b_blkno;
	size_t b_resid;
	size_t b_bufsize;
	caddr_t b_iodone;
	int b_error;
	dev_t b_edev;
} bufinfo_t;

inline int B_BUSY = 0x000001;
inline int B_DONE = 0x000002;
inline int B_ERROR = 0x000004;
inline int B_PAGEIO = 0x000010;
inline int B_PHYS = 0x000020;
inline int B_READ = 0x000040;
inline int B_WRITE = 0x000100;
inline int B_ASYNC = 0x000400;

typedef struct devinfo {
	int dev_major;
	int dev_minor;
	int dev_instance;
	string dev_name;
	string dev_statname;
	string dev_pathname;
} devinfo_t;

typedef struct fileinfo {
	string fi_name;
	string fi_dirname;
	string fi_pathname;
	loff_t fi_offset;
	string fi_fs;
	string fi_mount;
	int fi_oflags;
} fileinfo_t;

inline int O_ACCMODE = 0003;
inline int O_RDONLY = 0;
inline int O_WRONLY = 01;
inline int O_RDWR = 02;
inline int O_CREAT = 0100;
inline int O_EXCL = 0200;
inline int O_NOCTTY = 0400;
inline int O_TRUNC = 01000;
inline int O_APPEND = 02000;
inline int O_NONBLOCK = 04000;
inline int O_NDELAY = 04000;
inline int O_SYNC = 04010000;
inline int O_FSYNC = 04010000;
inline int O_ASYNC = 020000;
inline int O_DIRECTORY = 0200000;
inline int O_NOFOLLOW = 0400000;
inline int O_CLOEXEC = 02000000;
inline int O_DSYNC = 010000;
inline int O_RSYNC = 04010000;

/* Of the bits of bi_opf: a write, one that is waited for; of bi_flags: the memory is a program's own. */
translator bufinfo_t < struct bio *request > {
	b_flags = ((int)request->bi_opf & 1 ? B_WRITE : B_READ) | ((int)request->bi_opf & 0x800 ? 0 : B_ASYNC) |
	    ((int)request->bi_flags & 0x40 ? B_PAGEIO : B_PHYS);
	b_addr = 0;
	b_bcount = request->bi_iter.bi_size;
	b_lblkno = request->bi_iter.bi_sector;
	b_blkno = request->bi_iter.bi_sector;
	b_resid = 0;
	b_bufsize = request->bi_iter.bi_size;
	b_iodone = (caddr_t)request->bi_end_io;
	b_error = request->bi_status;
	b_edev = request->bi_bdev == NULL ? 0 : request->bi_bdev->bd_dev;
};

translator devinfo_t < struct bio *request > {
	dev_major = request->bi_bdev == NULL ? 0 : getmajor(request->bi_bdev->bd_dev);
	dev_minor = request->bi_bdev == NULL ? 0 : getminor(request->bi_bdev->bd_dev);
	dev_instance = 0;
	dev_name = request->bi_bdev == NULL ? "<none>" :
	    request->bi_bdev->bd_disk->part0->bd_device.parent == NULL ? "<none>" :
	    request->bi_bdev->bd_disk->part0->bd_device.parent->driver == NULL ? "<none>" :
	    stringof(request->bi_bdev->bd_disk->part0->bd_device.parent->driver->name);
	dev_statname = request->bi_bdev == NULL ? "<none>" : stringof(request->bi_bdev->bd_device.kobj.name);
	dev_pathname = request->bi_bdev == NULL ? "<none>" :
	    strjoin("/dev/", stringof(request->bi_bdev->bd_device.kobj.name));
};

translator fileinfo_t < struct file *opened > {
	fi_name = opened == NULL ? "<none>" : stringof(opened->f_path.dentry->d_name.name);
	fi_dirname = opened == NULL ? "<none>" : dirname(d_path(&opened->f_path));
	fi_pathname = opened == NULL ? "<none>" : d_path(&opened->f_path);
	fi_offset = opened == NULL ? 0 : opened->f_pos;
	fi_fs = opened == NULL ? "<none>" : stringof(opened->f_path.mnt->mnt_sb->s_type->name);
	fi_oflags = opened == NULL ? 0 : opened->f_flags;
};

inline fileinfo_t fds[int fd] = xlate <fileinfo_t> (fd >= 0 && fd < curthread->files->fdt->max_fds ?
    curthread->files->fdt->fd[fd] : NULL);
