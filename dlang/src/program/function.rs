//! Built-in variables and subroutines.

/// Built-in variables; the type is on the expression.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Builtin {
    /// `pid`, `int`: the process, that is the thread group.
    Pid,
    /// `tid`, `int`: the thread.
    Tid,
    /// `ppid`, `int`: the parent process.
    Ppid,
    /// `uid`, `uint32_t`: the real user.
    Uid,
    /// `gid`, `uint32_t`: the real group.
    Gid,
    /// `execname`: the thread's command name.
    Execname,
    /// `timestamp`, `uint64_t`: monotonic nanoseconds.
    Timestamp,
    /// `walltimestamp`, `int64_t`: nanoseconds since 1970.
    Walltimestamp,
    /// `vtimestamp`, `uint64_t`: nanoseconds this thread has run on a CPU.
    Vtimestamp,
    /// `cpu`, `int`: the CPU that fires.
    Cpu,
    /// `probeprov`: the provider.
    Probeprov,
    /// `probemod`: the module.
    Probemod,
    /// `probefunc`: the function.
    Probefunc,
    /// `probename`: the name.
    Probename,
    /// `id`, `uint32_t`: the probe's id, as `-l` shows it.
    Id,
    /// `epid`, `uint32_t`: the enabled probe's id.
    Epid,
    /// `curthread`, `struct task_struct *`: the kernel's record of the thread.
    Curthread,
    /// `errno`, `int`: the error of the current system call, 0 outside of one.
    Errno,
    /// `caller`, `uint64_t`: where the kernel's function returns to that the probe is in; 0 if none is.
    Caller,
    /// `stackdepth`, `uint32_t`: the number of the kernel's frames.
    Stackdepth,
    /// `ucaller`, `uint64_t`: where the program's function returns to that it is in.
    Ucaller,
    /// `ustackdepth`, `uint32_t`: the number of the program's frames.
    Ustackdepth,
    /// `pyfile`: the file of the Python function that the thread is in; empty if it is in none.
    Pyfile,
    /// `pyfunc`: its name.
    Pyfunc,
    /// `pyqualname`: its qualified name; before Python 3.11 its name.
    Pyqualname,
    /// `pyexception`: the exception that the thread is raising, a Python object.
    Pyexception,
    /// `pytraceback`, `uint64_t`: the address of the traceback that this exception has so far; 0 if it is in the
    /// function in which it was raised.
    Pytraceback,
    /// `pyreturn`: what the function returns whose end fires, a Python object.
    Pyreturn,
    /// `pyresumed`, `int`: 1 if the function-entry that fires is of a generator or coroutine that goes on, 0 if a function
    /// starts.
    Pyresumed,
    /// `pythread`: the name that Python has for the thread, or else the kernel's.
    Pythread,
    /// `pytask`: the name of the asyncio task that the thread is running; empty if it runs none.
    Pytask,
    /// `pygreenlet`, `uint64_t`: the address of the greenlet that the thread is running; 0 if it has nothing to do with them.
    Pygreenlet,
    /// `pymodule`: the name of its module.
    Pymodule,
    /// `pyline`, `int`: its line; 0 if it is in none, -1 where the code has no line.
    Pyline,
    /// `pydepth`, `uint32_t`: how many Python functions the thread is in.
    Pydepth,
    /// `pyframe`, `uint64_t`: the address of its frame.
    Pyframe,
}

/// Subroutines: functions that give a value. Signatures as in libdtrace's identifier table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Subroutine {
    /// `string copyinstr(uintptr_t addr[, size_t max])`.
    Copyinstr,
    /// `void *copyin(uintptr_t addr, size_t size)`.
    Copyin,
    /// `void copyinto(uintptr_t addr, size_t size, void *to)`.
    Copyinto,
    /// `void *alloca(size_t size)`.
    Alloca,
    /// `void bcopy(const void *from, void *to, size_t size)`.
    Bcopy,
    /// `string basename(const char *)`.
    Basename,
    /// `string d_path(struct path *)`: the path of a file from the root of the process that fires. Behind the path
    /// follow that root, another `struct path *`, and where the kernel keeps what leads from one directory to the
    /// next: seven offsets of members.
    DPath,
    /// `execargs`: the words of the memory between two addresses of the traced program, with blanks in the place
    /// of the NULs that end them; empty if there is none.
    Execargs,
    /// `uint64_t uregs[n]`: a register of the thread as its program left it, by its number in `regs.d`.
    Uregs,
    /// `string dirname(const char *)`.
    Dirname,
    /// `size_t strlen(const char *)`.
    Strlen,
    /// `string strjoin(const char *, const char *)`.
    Strjoin,
    /// `string strstr(const char *, const char *)`: from the match on, or the null string.
    Strstr,
    /// `string strchr(const char *, char)`.
    Strchr,
    /// `string strrchr(const char *, char)`.
    Strrchr,
    /// `string substr(const char *, int index[, int length])`.
    Substr,
    /// `int index(const char *, const char *[, int start])`: -1 when absent.
    Index,
    /// `int rindex(const char *, const char *[, int start])`.
    Rindex,
    /// `string lltostr(int64_t[, int base])`.
    Lltostr,
    /// `int speculation(void)`: the id of a speculation that begins, or 0 if there is none to be had.
    Speculation,
    /// `string toupper(const char *)`: ASCII letters only.
    Toupper,
    /// `string tolower(const char *)`.
    Tolower,
    /// `int64_t strtoll(const char *[, int base])`: the number at the start, 0 if there is none.
    Strtoll,
    /// `string strtok(const char *, const char *)`: the next token of a string, or of the one
    /// before when the first argument is NULL.
    Strtok,
    /// `string cleanpath(const char *)`: without `.`, `..` and empty components.
    Cleanpath,
    /// `int rand()`: a pseudo-random number of 32 bits.
    Rand,
    /// `int progenyof(pid_t)`: whether the process is that one or a descendant of it.
    Progenyof,
    /// `dev_t getmajor(dev_t)`.
    Getmajor,
    /// `dev_t getminor(dev_t)`.
    Getminor,
    /// `uint16_t htons(uint16_t)`: to network byte order.
    Htons,
    /// `uint32_t htonl(uint32_t)`.
    Htonl,
    /// `uint64_t htonll(uint64_t)`.
    Htonll,
    /// `uint16_t ntohs(uint16_t)`: from network byte order.
    Ntohs,
    /// `uint32_t ntohl(uint32_t)`.
    Ntohl,
    /// `uint64_t ntohll(uint64_t)`.
    Ntohll,
    /// `stack([uint32_t frames])`: the kernel's stack.
    Stack,
    /// `ustack([uint32_t frames[, uint32_t strsize]])`: the stack of the thread's program.
    Ustack,
    /// `pyarg(name or number)`: an argument of the function that fires, a Python object.
    Pyarg,
    /// `pylocal(name)`: one of its variables, arguments among them.
    Pylocal,
    /// `pyattr(object, name)`: an attribute of a Python object, a Python object.
    Pyattr,
    /// `pyself(name)`: an attribute of the first argument of the function that fires.
    Pyself,
    /// `pyaudit(int)`: an argument of an audit event, a Python object.
    Pyaudit,
    /// `int64_t pyfloat(object)`: the integer part of a Python `float` or `int`.
    Pyfloat,
    /// `int64_t pyint(object)`: the value of a Python `int`, cut to what 64 bits hold.
    Pyint,
    /// `int64_t pylen(object)`: how many items, characters or bytes it has.
    Pylen,
    /// `string pyrepr(object)`: a Python object as `repr` shows it. Its text is made where it is shown.
    Pyrepr,
    /// `string pystr(object)`: the text of a `str`, or the bytes of a `bytes`.
    Pystr,
    /// `string pytype(object)`: the name of its type.
    Pytype,
    /// `jstack([uint32_t frames[, uint32_t strsize]])`, `pystack`: the Python functions that the thread is in.
    Pystack,
    /// The same with `ASYNC` behind its arguments: and behind the coroutine of an asyncio task, those that wait for it.
    PystackAsync,
    /// `string json(const char *, const char *)`: the part of a JSON text that a path leads to.
    Json,
    /// `uint64_t contention(uintptr_t lock, int part)`: how the thread has waited for a lock of the kernel whose
    /// contention ends. Part 0 are the flags of how it waited last, 1 the nanoseconds that it spun, 2 those that it slept.
    /// Only the definitions of dependent probes have it.
    Contention,
    /// `inet_ntoa` of the four bytes that the argument has in memory.
    InetNtoa,
    /// `inet_ntoa6` of the sixteen bytes that the two arguments have in memory.
    InetNtoa6,
    /// `link_ntop` of the bytes that the arguments have in memory, each in the size of its type.
    LinkNtop,
}

/// The last argument of `pystack()` that asks for those that wait for a task, too.
pub const ASYNC: &str = "ASYNC";

impl Subroutine {
    /// Whether its value may be the null string, for "there is none".
    #[must_use]
    pub const fn may_find_nothing(self) -> bool {
        matches!(
            self,
            Self::Strstr | Self::Strchr | Self::Strrchr | Self::Strtok
        )
    }

    /// Whether its value depends on its arguments only, so that it can be computed anywhere.
    #[must_use]
    pub const fn is_pure(self) -> bool {
        match self {
            Self::Copyinstr
            | Self::Copyin
            | Self::Copyinto
            | Self::Alloca
            | Self::Bcopy
            | Self::Speculation
            | Self::Strtok
            | Self::Rand
            | Self::DPath
            | Self::Execargs
            | Self::Uregs
            | Self::Progenyof
            | Self::Contention
            | Self::Stack
            | Self::Pyarg
            | Self::Pylocal
            | Self::Pyattr
            | Self::Pyself
            | Self::Pyaudit
            | Self::Pyfloat
            | Self::Pyint
            | Self::Pylen
            | Self::Pyrepr
            | Self::Pystr
            | Self::Pytype
            | Self::Ustack
            | Self::Pystack
            | Self::PystackAsync => false,
            Self::Basename
            | Self::Dirname
            | Self::Strlen
            | Self::Strjoin
            | Self::Strstr
            | Self::Strchr
            | Self::Strrchr
            | Self::Substr
            | Self::Index
            | Self::Rindex
            | Self::Lltostr
            | Self::Toupper
            | Self::Tolower
            | Self::Strtoll
            | Self::Cleanpath
            | Self::Getmajor
            | Self::Getminor
            | Self::Htons
            | Self::Htonl
            | Self::Htonll
            | Self::Ntohs
            | Self::Ntohl
            | Self::Ntohll
            | Self::Json
            | Self::InetNtoa
            | Self::InetNtoa6
            | Self::LinkNtop => true,
        }
    }
}
