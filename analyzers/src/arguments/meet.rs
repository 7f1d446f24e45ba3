//! Where paths meet: what both say of registers and stack stays, the rest gets a name of the block.

use super::names::{Root, Sym, reg_place};
use super::state::{Cell, MAX_ESCAPED, REGS, Slot, State};

impl State {
    /// Takes over what comes along another path into the block at `block`; true when that changed something.
    pub(super) fn meet(&mut self, other: &State, block: u64) -> bool {
        let mut changed = false;
        // Names given here that mean something new along this path: what still has them is an older value.
        let stale = |sym: Sym, place: i32| match sym.root {
            Root::Met(b, p) if b == block && p != place => {
                let now = if p < i32::MIN + REGS as i32 {
                    let n = p.wrapping_sub(i32::MIN);
                    usize::try_from(n).ok().and_then(|n| other.regs.get(n)).map(|c| c.sym)
                } else {
                    other.slots.get(&p).map(|s| s.cell.sym)
                };
                now != Some(Sym::of(Root::Met(b, p)))
            }
            _ => false,
        };
        let mut join = |mine: &mut Cell, theirs: Cell, place: i32| {
            let met = Root::Met(block, place);
            if mine.sym.root == met && mine.sym.add == 0 {
                return;
            }
            let same = mine.sym.root == theirs.sym.root
                && mine.sym.add == theirs.sym.add
                && mine.sym.root != Root::Unknown
                && !stale(theirs.sym, place);
            if !same {
                *mine = Cell { sym: Sym::of(met), by: 0 };
                changed = true;
            } else if theirs.sym.bytes < mine.sym.bytes {
                mine.sym.bytes = theirs.sym.bytes;
                changed = true;
            }
        };
        for (n, (mine, theirs)) in (0u8..).zip(self.regs.iter_mut().zip(&other.regs)) {
            join(mine, *theirs, reg_place(n));
        }
        let mut extra = Vec::new();
        for (offset, theirs) in &other.slots {
            if *offset >= 0 && !self.slots.contains_key(offset) {
                extra.push((*offset, *theirs));
            }
        }
        let mut gone = Vec::new();
        let mut changed_doubt = false;
        for (offset, mine) in &mut self.slots {
            if other.slots.get(offset).is_some_and(|s| s.doubtful) && !mine.doubtful {
                mine.doubtful = true;
                changed_doubt = true;
            }
            match other.slots.get(offset) {
                Some(theirs) if theirs.bytes == mine.bytes => join(&mut mine.cell, theirs.cell, *offset),
                Some(_) => join(&mut mine.cell, Cell { sym: Sym::UNKNOWN, by: 0 }, *offset),
                None if *offset < 0 => gone.push(*offset),
                None => {
                    let untouched = Sym { bytes: mine.cell.sym.bytes, ..Sym::of(Root::Stack(*offset)) };
                    join(&mut mine.cell, Cell { sym: untouched, by: 0 }, *offset);
                }
            }
        }
        changed |= changed_doubt || !gone.is_empty();
        gone.iter().for_each(|o| {
            self.slots.remove(o);
        });
        for (offset, theirs) in extra {
            // Written on that path only; a value that was there at entry may have been written back.
            let cell = if theirs.cell.sym.root == Root::Stack(offset) && theirs.cell.sym.add == 0 {
                theirs.cell
            } else {
                Cell { sym: Sym::of(Root::Met(block, offset)), by: 0 }
            };
            self.slots.insert(offset, Slot { cell, bytes: theirs.bytes, doubtful: theirs.doubtful });
            changed = true;
        }
        if other.pushed < self.pushed {
            self.pushed = other.pushed;
            changed = true;
        }
        for (mine, theirs) in [(&mut self.escaped, &other.escaped), (&mut self.fresh, &other.fresh)] {
            for offset in theirs {
                if let Err(at) = mine.binary_search(offset)
                    && mine.len() < MAX_ESCAPED
                {
                    mine.insert(at, *offset);
                    changed = true;
                }
            }
        }
        changed
    }
}
