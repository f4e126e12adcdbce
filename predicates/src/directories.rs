//! `d_path`: the path of a file, from the names of the directories that it is in.
//!
//! The kernel has a helper for this, which few kinds of programs may call; so the way up is gone here. A file is a
//! directory entry (`struct dentry`) on something that is mounted (`struct vfsmount`). The entry knows its parent; at the
//! root of what is mounted, the mount (`struct mount`, of which the other is a part) knows where. The path is made from
//! its end to its start, behind the heap, and then copied to the heap's end, as `cleanpath` does it.
//!
//! ```text
//!     while (dentry != root.dentry || mnt != root.mnt) {
//!         if (dentry == mnt->mnt_root) {
//!             mount = container of mnt;  above = mount->mnt_parent;
//!             if (above == mount) break;
//!             dentry = mount->mnt_mountpoint;  mnt = &above->mnt;
//!         } else {
//!             parent = dentry->d_parent;
//!             if (parent == dentry || no room) break;
//!             put(dentry->d_name);  put('/');
//!             dentry = parent;
//!         }
//!     }
//! ```

use dlang::diag::Span;
use dlang::program::{Expr, ExprKind};
use dlang::types::Int;

use crate::asm::Label;
use crate::emit::{Emit, Emitted, Fault, Refusal, imm};
use crate::insn::{Alu, Cond, Helper, Reg, Size};
use crate::join::Loop;
use crate::string::Str;

/// The most bytes of a name, without its NUL (`NAME_MAX`).
const NAME: u32 = 255;

/// The most steps where the verifier follows each.
const STEPS: i32 = 48;

/// Where `struct path` has its two pointers.
const MNT: i16 = 0;
const DENTRY: i16 = 8;
const PATH: i16 = 16;

const SLASH: i32 = b'/' as i32;

/// Offsets of the kernel's members.
struct Offsets {
    parent: i32,
    name: i32,
    length: i32,
    root: i32,
    mount: i32,
    mount_parent: i32,
    mountpoint: i32,
}

impl Offsets {
    fn of(args: &[Expr]) -> Option<Self> {
        let number = |arg: &Expr| {
            let ExprKind::Int(number) = arg.kind else {
                return None;
            };
            i32::try_from(number).ok()
        };
        let numbers: Option<Vec<i32>> = args.iter().map(number).collect();
        let [parent, name, length, root, mount, mount_parent, mountpoint] = numbers?[..] else {
            return None;
        };
        Some(Self {
            parent,
            name,
            length,
            root,
            mount,
            mount_parent,
            mountpoint,
        })
    }
}

/// The stack slots of the loop's variables.
struct Way {
    /// `struct path`: where the way has come to.
    at: i16,
    /// `struct path`: where it ends.
    root: i16,
    /// What was read last.
    word: i16,
    /// Bytes of the path so far.
    size: i16,
    /// Where the path ends, counted from the start of the heap.
    end: i16,
    /// Where the way goes on.
    next: i16,
    /// The length of a name.
    length: i16,
    /// How many steps there were.
    steps: i16,
}

impl Emit<'_> {
    /// `d_path(path)` with the root of the process, and the offsets of `dlang::check`.
    pub(crate) fn path_of_file(&mut self, args: &[Expr], span: Span) -> Emitted<Str> {
        let Some((path, root, offsets)) = args
            .get(2..)
            .and_then(Offsets::of)
            .map(|offsets| (&args[0], &args[1], offsets))
        else {
            return Err(Refusal {
                span,
                message: "d_path() needs two paths and seven offsets".into(),
            });
        };
        let way = Way {
            at: self.buffer(PATH, span)?,
            root: self.buffer(PATH, span)?,
            word: self.buffer(8, span)?,
            size: self.buffer(8, span)?,
            end: self.buffer(8, span)?,
            next: self.buffer(8, span)?,
            length: self.buffer(8, span)?,
            steps: self.buffer(8, span)?,
        };
        for (slot, pointer) in [(way.at, path), (way.root, root)] {
            let address = self.int(pointer)?;
            self.stack_address(Reg::R1, slot);
            self.asm.mov_imm(Reg::R2, i64::from(PATH));
            self.load(Reg::R3, &address);
            self.asm.call(Helper::ProbeReadKernel);
            let bad = self.fault(Fault::BadAddress, &address);
            self.asm.jump_if_imm(Cond::Ne, Reg::R0, 0, bad);
            self.stack.give(address);
        }
        self.scratch(Reg::R1, span)?;
        self.heap_reaches(3 * self.storage.strsize + 2 * NAME + 32);
        self.asm.store_imm(Size::Double, Reg::FP, way.size, 0);
        self.asm.store_imm(Size::Double, Reg::FP, way.steps, 0);
        let end = 2 * self.storage.strsize + NAME + 8;
        self.heap_used(Reg::R5);
        self.asm.alu_imm(Alu::Add, Reg::R5, imm(end));
        self.asm.store(Size::Double, Reg::FP, way.end, Reg::R5);
        self.asm.mov_imm(Reg::R2, 0);
        self.before_end(&way, Reg::R1, Reg::R2);
        self.asm.store_imm(Size::Byte, Reg::R1, 0, 0);
        self.go_up(&way, &offsets);
        // The root itself has no name.
        let named = self.asm.label();
        self.path_size(&way, Reg::R2);
        self.asm.jump_if_imm(Cond::Ne, Reg::R2, 0, named);
        self.asm.mov_imm(Reg::R2, 1);
        self.before_end(&way, Reg::R1, Reg::R2);
        self.asm.store_imm(Size::Byte, Reg::R1, 0, SLASH);
        self.asm.bind(named);
        self.make_bounded(Reg::R2, Reg::R1, self.storage.strsize);
        self.before_end(&way, Reg::R3, Reg::R2);
        self.asm.mov_imm(Reg::R2, i64::from(self.storage.strsize));
        for slot in [way.at, way.root] {
            self.stack.give_buffer(slot, PATH);
        }
        for slot in [way.word, way.size, way.end, way.next, way.length, way.steps] {
            self.stack.give_buffer(slot, 8);
        }
        self.push_kernel_bytes(span)
    }

    /// The loop. The scratch has been fetched.
    fn go_up(&mut self, way: &Way, offsets: &Offsets) {
        let (again, next, out) = (self.asm.label(), self.asm.label(), self.asm.label());
        let (going, entry) = (self.asm.label(), self.asm.label());
        let kind = self.next_branching_loop();
        self.asm.bind(again);
        if kind == Loop::Open {
            self.asm.may_goto(out);
        }
        self.path_size(way, Reg::R1);
        self.asm.store(Size::Double, Reg::FP, way.size, Reg::R1);
        for part in [MNT, DENTRY] {
            self.asm.load(Size::Double, Reg::R1, Reg::FP, way.at + part);
            self.asm
                .load(Size::Double, Reg::R2, Reg::FP, way.root + part);
            self.asm.jump_if(Cond::Ne, Reg::R1, Reg::R2, going);
        }
        self.asm.jump(out);
        self.asm.bind(going);
        self.read_word(way, way.at + MNT, offsets.root);
        self.asm
            .load(Size::Double, Reg::R2, Reg::FP, way.at + DENTRY);
        self.asm.jump_if(Cond::Ne, Reg::R1, Reg::R2, entry);
        self.up_to_mountpoint(way, offsets, out);
        self.asm.jump(next);
        self.asm.bind(entry);
        self.up_to_parent(way, offsets, out);
        self.asm.bind(next);
        match kind {
            Loop::Open => self.asm.jump(again),
            Loop::Closed => {
                self.asm.load(Size::Double, Reg::R1, Reg::FP, way.steps);
                self.asm.alu_imm(Alu::Add, Reg::R1, 1);
                self.asm.store(Size::Double, Reg::FP, way.steps, Reg::R1);
                self.asm.jump_if_imm(Cond::Lt, Reg::R1, STEPS, again);
            }
        }
        self.asm.bind(out);
    }

    /// From the root of what is mounted to where it is mounted; to `out` if it is at the top of all.
    fn up_to_mountpoint(&mut self, way: &Way, offsets: &Offsets, out: Label) {
        self.read_word(way, way.at + MNT, offsets.mount_parent - offsets.mount);
        self.asm.load(Size::Double, Reg::R2, Reg::FP, way.at + MNT);
        self.asm.alu_imm(Alu::Sub, Reg::R2, offsets.mount);
        self.go_on_if(Cond::Ne, Reg::R1, Reg::R2, out);
        self.asm.alu_imm(Alu::Add, Reg::R1, offsets.mount);
        self.asm.store(Size::Double, Reg::FP, way.next, Reg::R1);
        self.read_word(way, way.at + MNT, offsets.mountpoint - offsets.mount);
        self.asm
            .store(Size::Double, Reg::FP, way.at + DENTRY, Reg::R1);
        self.asm.load(Size::Double, Reg::R1, Reg::FP, way.next);
        self.asm.store(Size::Double, Reg::FP, way.at + MNT, Reg::R1);
    }

    /// From an entry to its parent, with the entry's name put before the path; to `out` if it has none, or there is no
    /// room for the name.
    fn up_to_parent(&mut self, way: &Way, offsets: &Offsets, out: Label) {
        self.read_word(way, way.at + DENTRY, offsets.parent);
        self.asm
            .load(Size::Double, Reg::R2, Reg::FP, way.at + DENTRY);
        self.go_on_if(Cond::Ne, Reg::R1, Reg::R2, out);
        self.go_on_if_imm(Cond::Ne, Reg::R1, 0, out);
        self.asm.store(Size::Double, Reg::FP, way.next, Reg::R1);
        let short = self.asm.label();
        self.read_word(way, way.at + DENTRY, offsets.length);
        self.wrap(Reg::R1, Int::U32);
        self.asm.jump_if_imm(Cond::Le, Reg::R1, imm(NAME), short);
        self.asm.mov_imm(Reg::R1, i64::from(NAME));
        self.asm.bind(short);
        self.make_bounded(Reg::R1, Reg::R2, NAME + 1);
        self.asm.store(Size::Double, Reg::FP, way.length, Reg::R1);
        self.read_word(way, way.at + DENTRY, offsets.name);
        self.path_size(way, Reg::R2);
        self.asm.load(Size::Double, Reg::R0, Reg::FP, way.length);
        self.asm.alu(Alu::Add, Reg::R2, Reg::R0);
        self.asm.alu_imm(Alu::Add, Reg::R2, 1);
        let strsize = self.storage.strsize;
        self.go_on_if_imm(Cond::Lt, Reg::R2, imm(strsize), out);
        self.asm.store(Size::Double, Reg::FP, way.size, Reg::R2);
        self.before_end(way, Reg::R1, Reg::R2);
        self.asm.store_imm(Size::Byte, Reg::R1, 0, SLASH);
        self.asm.alu_imm(Alu::Add, Reg::R1, 1);
        self.asm.load(Size::Double, Reg::R2, Reg::FP, way.length);
        self.asm.load(Size::Double, Reg::R3, Reg::FP, way.word);
        self.asm.call(Helper::ProbeReadKernel);
        self.asm.load(Size::Double, Reg::R1, Reg::FP, way.next);
        self.asm
            .store(Size::Double, Reg::FP, way.at + DENTRY, Reg::R1);
    }

    /// `r1 = *(u64 *)(slot + offset)`, also in the slot of the last word; 0 if it cannot be read. Destroys `r0` to `r5`.
    fn read_word(&mut self, way: &Way, slot: i16, offset: i32) {
        self.stack_address(Reg::R1, way.word);
        self.asm.mov_imm(Reg::R2, 8);
        self.asm.load(Size::Double, Reg::R3, Reg::FP, slot);
        self.asm.alu_imm(Alu::Add, Reg::R3, offset);
        self.asm.call(Helper::ProbeReadKernel);
        self.asm.load(Size::Double, Reg::R1, Reg::FP, way.word);
    }

    /// `dst = size of the path`, of which the verifier knows that it is less than `strsize`. Destroys `r5`.
    fn path_size(&mut self, way: &Way, dst: Reg) {
        self.asm.load(Size::Double, dst, Reg::FP, way.size);
        self.make_bounded(dst, Reg::R5, self.storage.strsize);
    }

    /// `dst = address of the path`, of which `size` bytes are there. Destroys `r5`.
    fn before_end(&mut self, way: &Way, dst: Reg, size: Reg) {
        self.asm.load(Size::Double, Reg::R5, Reg::FP, way.end);
        self.asm.alu(Alu::Sub, Reg::R5, size);
        self.scratch_known(dst);
        self.asm.alu_imm(Alu::Add, dst, imm(self.storage.heap));
        self.asm.alu(Alu::Add, dst, Reg::R5);
    }
}
