//! The asyncio task that a thread is running.
//!
//! From 3.14 on the thread's state has it. Before, the module `asyncio.tasks` has a dict of the running tasks by event
//! loop, and the thread's state leads to the loop (`provider::python::asyncio` says how that is found in a build). The
//! dict is looked for among hundreds of modules once for each thread, and remembered with the number of the
//! interpreter, which no other one of the process ever has, and with the program that the process is in.

use dlang::diag::Span;
use unwind::objects::Fact as Object;
use unwind::python::Fact;

use super::Slots;
use super::thread::INTERPRETER;
use crate::asm::Label;
use crate::emit::{Emit, Emitted};
use crate::insn::{Alu, Cond, Reg, Size};
use crate::python_layout::{PythonFrames, area, state_of_thread};

/// Under what a thread's dict has its event loop.
const LOOP: &[u8] = b"__asyncio_running_event_loop__";
/// The module that has the running tasks, and their name there.
const MODULE: &[u8] = b"asyncio.tasks";
const TASKS: &[u8] = b"_current_tasks";

/// Where the result is: a word from `area::WORK` on, behind what going through a dict needs.
const RESULT: i16 = 32;

/// The slots that are used otherwise while no frame is looked at.
impl Slots {
    const fn event_loop(self) -> i16 {
        self.frame
    }
    const fn interpreter(self) -> i16 {
        self.code
    }
    /// The interpreter's number, plus 1.
    const fn interpreter_number(self) -> i16 {
        self.number
    }
    const fn tasks(self) -> i16 {
        self.offset
    }
}

impl Emit<'_> {
    /// `r0 = address of the task` that the thread is running; 0 if it runs none.
    pub(crate) fn running_python_task(&mut self, span: Span) -> Emitted<()> {
        let python = self.python_frames(span)?;
        self.scratch(Reg::R1, span)?;
        // Before the branch in which it may be wanted.
        self.pid_tgid(Reg::R0, span)?;
        let s = self.python_slots(span)?;
        let [by_loop, found, none] = [(); 3].map(|()| self.asm.label());
        self.clear_python_slots(s, span)?;
        self.python_at(Reg::R1, python, area::WORK);
        self.asm.store_imm(Size::Double, Reg::R1, RESULT, 0);
        self.find_python_facts(python, s, none, span)?;
        self.object_fact(Reg::R0, Object::Header, s);
        self.asm.jump_if_imm(Cond::Eq, Reg::R0, 0, none);
        self.find_python_state(python, s, none, span)?;
        self.fact(Reg::R0, Fact::RunningTask, s);
        self.asm.jump_if_imm(Cond::Eq, Reg::R0, 0, by_loop);
        self.python_field(s.state, Fact::RunningTask, s, none);
        self.asm.jump(found);
        self.asm.bind(by_loop);
        self.find_event_loop(python, s, none);
        self.find_running_tasks(python, s, none);
        self.asm.load(Size::Double, Reg::R3, Reg::FP, s.tasks());
        self.open_dict(python, s, none);
        self.value_of_key(python, s, s.event_loop(), none);
        self.asm.bind(found);
        self.python_at(Reg::R1, python, area::WORK);
        self.asm.store(Size::Double, Reg::R1, RESULT, Reg::R0);
        self.asm.bind(none);
        self.give_python_slots(s);
        self.python_at(Reg::R1, python, area::WORK);
        self.asm.load(Size::Double, Reg::R0, Reg::R1, RESULT);
        Ok(())
    }

    /// Finds the event loop that the thread is running; on to `none` if it runs none.
    fn find_event_loop(&mut self, python: PythonFrames, s: Slots, none: Label) {
        let [in_dict, have] = [(); 2].map(|()| self.asm.label());
        self.fact(Reg::R0, Fact::RunningLoop, s);
        self.asm.jump_if_imm(Cond::Eq, Reg::R0, 0, in_dict);
        self.python_field(s.state, Fact::RunningLoop, s, none);
        self.asm.jump(have);
        self.asm.bind(in_dict);
        self.fact(Reg::R0, Fact::ThreadDict, s);
        self.asm.jump_if_imm(Cond::Eq, Reg::R0, 0, none);
        self.python_field(s.state, Fact::ThreadDict, s, none);
        self.asm.jump_if_imm(Cond::Eq, Reg::R0, 0, none);
        self.asm.mov(Reg::R3, Reg::R0);
        self.open_dict(python, s, none);
        self.value_of_name(python, s, LOOP, none);
        self.fact(Reg::R1, Fact::LoopHolder, s);
        self.asm.jump_if_imm(Cond::Eq, Reg::R1, 0, have);
        self.asm.mov(Reg::R3, Reg::R0);
        self.asm.alu(Alu::Add, Reg::R3, Reg::R1);
        self.python_word(s, none);
        self.asm.bind(have);
        self.asm.jump_if_imm(Cond::Eq, Reg::R0, 0, none);
        self.asm
            .store(Size::Double, Reg::FP, s.event_loop(), Reg::R0);
    }

    /// Finds the dict of the interpreter's running tasks.
    fn find_running_tasks(&mut self, python: PythonFrames, s: Slots, none: Label) {
        let [search, have] = [(); 2].map(|()| self.asm.label());
        self.asm.load(Size::Double, Reg::R3, Reg::FP, s.state);
        self.asm.alu_imm(Alu::Add, Reg::R3, INTERPRETER.into());
        self.python_word(s, none);
        self.asm
            .store(Size::Double, Reg::FP, s.interpreter(), Reg::R0);
        self.python_field(s.interpreter(), Fact::InterpreterId, s, none);
        self.asm.alu_imm(Alu::Add, Reg::R0, 1);
        self.asm
            .store(Size::Double, Reg::FP, s.interpreter_number(), Reg::R0);

        self.task_value(python.maps.threads, true);
        self.asm.jump_if_imm(Cond::Eq, Reg::R0, 0, search);
        self.python_at(Reg::R1, python, area::KEY);
        self.asm.load(Size::Double, Reg::R1, Reg::R1, 0);
        self.asm
            .load(Size::Double, Reg::R2, Reg::R0, state_of_thread::PROGRAM);
        self.asm.jump_if(Cond::Ne, Reg::R1, Reg::R2, search);
        self.asm
            .load(Size::Double, Reg::R1, Reg::FP, s.interpreter_number());
        self.asm
            .load(Size::Double, Reg::R2, Reg::R0, state_of_thread::INTERPRETER);
        self.asm.jump_if(Cond::Ne, Reg::R1, Reg::R2, search);
        self.asm
            .load(Size::Double, Reg::R1, Reg::R0, state_of_thread::TASKS);
        self.asm.store(Size::Double, Reg::FP, s.tasks(), Reg::R1);
        self.asm.jump(have);

        self.asm.bind(search);
        self.python_field(s.interpreter(), Fact::Modules, s, none);
        self.asm.mov(Reg::R3, Reg::R0);
        self.open_dict(python, s, none);
        self.value_of_name(python, s, MODULE, none);
        // The names of a module are the first that it has.
        self.asm.mov(Reg::R3, Reg::R0);
        self.add_object_fact(Reg::R3, Object::Header, Reg::R0, s);
        self.python_word(s, none);
        self.asm.mov(Reg::R3, Reg::R0);
        self.open_dict(python, s, none);
        self.value_of_name(python, s, TASKS, none);
        self.asm.store(Size::Double, Reg::FP, s.tasks(), Reg::R0);
        self.task_value(python.maps.threads, true);
        self.asm.jump_if_imm(Cond::Eq, Reg::R0, 0, have);
        for (word, slot) in [
            (state_of_thread::INTERPRETER, s.interpreter_number()),
            (state_of_thread::TASKS, s.tasks()),
        ] {
            self.asm.load(Size::Double, Reg::R1, Reg::FP, slot);
            self.asm.store(Size::Double, Reg::R0, word, Reg::R1);
        }
        self.python_at(Reg::R1, python, area::KEY);
        self.asm.load(Size::Double, Reg::R1, Reg::R1, 0);
        self.asm
            .store(Size::Double, Reg::R0, state_of_thread::PROGRAM, Reg::R1);
        self.asm.bind(have);
    }
}
