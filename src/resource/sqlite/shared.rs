//! The state that the threads of one store share: queues, connections and checks of the file.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use parking_lot::{Mutex, MutexGuard};

use super::changes::Changes;
use super::connection::{Location, Open, Role, millis};
use super::file::Hold;
use super::file_lock::{FileLock, Owner, replaced};
use super::job::{ReadJob, WriteJob};
use super::pace::{FAST, Pace};
use crate::config::document::process::Durability;
use crate::resource::contract::{Error, Rows, Statement};
use crate::resource::load::{Load, Measures};
use crate::resource::queue::Queue;
use crate::resource::watch::{Revision, Watch};

/// The maximum number of waiting jobs of each kind.
const WAITING: usize = 1024;
/// How often reads check that the file is still the one they have open. Writes check each time.
const LOOK: Duration = Duration::from_secs(1);
/// For this long after a failed write, the store is not healthy unless another write succeeds. Only a write can tell
/// whether a disk has space again.
const DOUBT: Duration = Duration::from_secs(5);

/// A slot for a connection: opened on first use and again after it breaks.
#[derive(Debug, Default)]
pub struct Slot(Mutex<Option<Open>>);

impl Slot {
    pub fn lock(&self) -> MutexGuard<'_, Option<Open>> {
        self.0.lock()
    }

    fn try_lock(&self) -> Option<MutexGuard<'_, Option<Open>>> {
        self.0.try_lock()
    }
}

pub struct Shared {
    pub reads: Queue<ReadJob>,
    pub writes: Queue<Box<dyn WriteJob>>,
    /// The statement that [`Sqlite::health`](super::Sqlite::health) runs.
    pub probe: Arc<str>,
    pub changes: Changes,
    pub pace: Arc<Pace>,
    location: Location,
    writer: Slot,
    /// One for each reader thread. A database in memory has only one connection, the writer's, and no slots here.
    readers: Vec<Slot>,
    /// As many again for reads on the caller's thread.
    now: Vec<Slot>,
    threads: usize,
    owner: Arc<Owner>,
    file: Mutex<Hold>,
    /// Counts incarnations of the file: a connection to an earlier one is reopened.
    generation: AtomicU64,
    create: AtomicBool,
    altered: AtomicBool,
    stop: Arc<AtomicBool>,
    start: Instant,
    /// When the file was last checked, in milliseconds after `start`.
    looked: AtomicU64,
    /// When the last write failed, in milliseconds after `start`; 0 once one has succeeded.
    failed: AtomicU64,
    /// Whether a write is confirmed before it is on the disk, see [`Durability::Process`].
    early: AtomicBool,
    measures: ArcSwapOption<Measures>,
}

impl Shared {
    pub fn new(location: Location) -> Self {
        let threads = thread::available_parallelism().map_or(2, usize::from).max(2);
        let own = if location == Location::Memory { 0 } else { threads };
        let owner = Arc::<Owner>::default();
        let slots = || (0..own).map(|_| Slot::default()).collect();
        Self {
            reads: Queue::new(WAITING),
            writes: Queue::new(WAITING),
            probe: Arc::from("SELECT count(*) FROM sqlite_schema"),
            changes: Changes::new(),
            pace: Arc::default(),
            location,
            writer: Slot::default(),
            readers: slots(),
            now: slots(),
            threads,
            file: Mutex::new(Hold::new(Arc::clone(&owner))),
            owner,
            generation: AtomicU64::new(0),
            create: AtomicBool::new(false),
            altered: AtomicBool::new(false),
            stop: Arc::default(),
            start: Instant::now(),
            looked: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            early: AtomicBool::new(false),
            measures: ArcSwapOption::empty(),
        }
    }

    /// When later writes are confirmed.
    pub fn confirm(&self, durability: Durability) {
        self.early.store(durability == Durability::Process, Ordering::Relaxed);
    }

    /// What the next write must survive.
    pub fn durability(&self) -> Durability {
        if self.early.load(Ordering::Relaxed) { Durability::Process } else { Durability::Power }
    }

    pub const fn location(&self) -> &Location {
        &self.location
    }

    /// Whether its database is the one that it has opened. A database in memory always is.
    pub fn has_its_file(&self) -> bool {
        match &self.location {
            Location::File(path) => self.file.lock().holds(path),
            Location::Memory => true,
        }
    }

    /// Whether it has opened a database file, which may be gone by now.
    pub fn had_a_file(&self) -> bool {
        self.file.lock().had_a_file()
    }

    /// Finds who else has the file; see [`Hold::check`].
    pub fn check(&self, path: &Path) -> Result<Option<Arc<FileLock>>, Error> {
        self.file.lock().check(path)
    }

    /// How many reader threads there are.
    pub fn readers(&self) -> usize {
        self.threads
    }

    pub fn writer(&self) -> &Slot {
        &self.writer
    }

    pub fn reader(&self, number: usize) -> &Slot {
        self.readers.get(number).unwrap_or(&self.writer)
    }

    /// Whether a missing file may be created: only while the tables are prepared. A file that disappears later may be on
    /// a disk that is not mounted, and must not be replaced silently by an empty one.
    pub fn may_create(&self, create: bool) {
        self.create.store(create, Ordering::Release);
    }

    /// Notes that tables may have changed: the planner's statistics are updated at an idle moment.
    pub fn altered(&self) {
        self.altered.store(true, Ordering::Relaxed);
    }

    /// Whether [`Shared::altered`] was called since the last call of this.
    pub fn was_altered(&self) -> bool {
        self.altered.swap(false, Ordering::Relaxed)
    }

    pub fn stopping(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Accepts no more jobs and interrupts running statements.
    pub fn close(&self) {
        self.owner.leave();
        self.reads.close();
        self.writes.close();
        self.stop.store(true, Ordering::Relaxed);
    }

    /// Closes connections and releases the file. Call it after the threads have ended.
    pub fn release(&self) {
        for slot in [&self.writer].into_iter().chain(&self.readers).chain(&self.now) {
            *slot.lock() = None;
        }
        self.changes.look_no_more();
        self.file.lock().release();
    }

    /// Makes the next read check the file.
    pub fn suspect(&self) {
        self.looked.store(0, Ordering::Relaxed);
    }

    /// Measures it under this name from now on.
    pub fn measure_as(self: &Arc<Self>, name: &str) {
        if self.measures.load().as_ref().is_none_or(|measures| !measures.is_of(name)) {
            let shared = Arc::downgrade(self);
            let load = move || shared.upgrade().map(|shared| shared.load()).unwrap_or_default();
            self.measures.store(Some(Arc::new(Measures::new(name, load))));
        }
    }

    /// Records the duration of a commit.
    pub fn committed(&self, took: Duration) {
        if let Some(measures) = &*self.measures.load() {
            measures.committed(took);
        }
    }

    /// How many connections are busy and idle now, and how many jobs wait.
    fn load(&self) -> Load {
        let mut load = Load { reads: self.reads.len(), writes: self.writes.len(), ..Load::default() };
        for slot in [&self.writer].into_iter().chain(&self.readers).chain(&self.now) {
            match slot.try_lock() {
                None => load.used += 1,
                Some(slot) => load.idle += usize::from(slot.is_some()),
            }
        }
        load
    }

    /// Notes a commit, or that nothing could be written. A write that fails because of what it writes, or of a trigger, or because it
    /// takes too long, is neither.
    pub fn wrote(&self, committed: bool) {
        let failed = if committed { 0 } else { millis(self.start.elapsed()).max(1) };
        self.failed.store(failed, Ordering::Relaxed);
    }

    /// Whether the last write failed recently.
    pub fn is_doubtful(&self) -> bool {
        let failed = self.failed.load(Ordering::Relaxed);
        failed != 0 && millis(self.start.elapsed()).saturating_sub(failed) < millis(DOUBT)
    }

    /// The connection of a slot, opened if there is none to the current file.
    pub fn open<'s>(&self, slot: &'s mut Option<Open>, role: Role) -> Result<&'s Open, Error> {
        if role == Role::Write || self.look_is_due(Instant::now()) {
            self.look();
        }
        let generation = self.generation();
        let open = match slot.take().filter(|open| open.generation == generation) {
            Some(open) => open,
            None => self.connect(role)?,
        };
        Ok(slot.insert(open))
    }

    /// Closes a connection after an error, so that the next use finds out whether the cause is gone. A database in memory
    /// would be lost with it.
    pub fn discard(&self, slot: &mut Option<Open>) {
        if self.location != Location::Memory {
            *slot = None;
        }
    }

    /// Reads on the caller's thread if a connection is free and nothing has to wait.
    pub fn read_now<T>(
        &self,
        statement: &Statement,
        read: impl FnOnce(&mut dyn Rows) -> Result<T, Error>,
    ) -> Option<Result<T, Error>> {
        let started = Instant::now();
        if !self.pace.is_fast() || self.look_is_due(started) {
            return None;
        }
        let now = if self.now.is_empty() { std::slice::from_ref(&self.writer) } else { &self.now };
        let generation = self.generation();
        let mut slot = now.iter().find_map(|slot| {
            let slot = slot.try_lock()?;
            slot.as_ref().is_some_and(|open| open.generation == generation).then_some(slot)
        })?;
        let open = slot.as_ref()?;
        let value = open.read(statement, started + statement.deadline.min(FAST), read);
        let late = matches!(value, Err(Error::Deadline));
        let took = if late { FAST.max(started.elapsed()) } else { started.elapsed() };
        open.fast.set(self.pace.here(took, open.fast.get()));
        match value {
            Err(Error::Unavailable(_)) => {
                self.discard(&mut slot);
                None
            }
            Err(Error::Deadline) => None,
            value => Some(value),
        }
    }

    /// The current revision of a table; `None` if it is not known at once.
    pub fn revision(&self, watch: &Watch) -> Option<Revision> {
        if self.location == Location::Memory {
            return Some(self.changes.own(watch));
        }
        if self.look_is_due(Instant::now()) {
            self.look_at(&mut *self.file.try_lock()?);
        }
        self.changes.revision(watch, self.generation())
    }

    /// Opens a connection that detects other programs' commits, if there is none.
    pub fn keep_watch(&self) {
        let generation = self.generation();
        if self.location != Location::Memory
            && !self.changes.is_watched(generation)
            && let Ok(open) = self.connect(Role::Now)
        {
            self.changes.look_with(open);
        }
    }

    /// Opens the callers' slot that belongs to reader `number`, if it is empty: callers never open one themselves.
    pub fn refresh_now(&self, number: usize) {
        let Some(mut slot) = self.now.get(number).and_then(Slot::try_lock) else {
            return;
        };
        let generation = self.generation();
        if slot.as_ref().is_none_or(|open| open.generation != generation) {
            // If it fails, the next read through a thread reports the reason.
            *slot = self.connect(Role::Now).ok();
        }
    }

    /// The current incarnation of the file.
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// Opens another connection to the current file.
    pub fn connect(&self, role: Role) -> Result<Open, Error> {
        let create = self.create.load(Ordering::Acquire);
        let Location::File(path) = &self.location else {
            return Open::new(&self.location, role, create, 0, &self.stop);
        };
        let mut file = self.file.lock();
        // Otherwise older connections would go on with a file that was replaced, and their writes would be lost.
        self.look_at(&mut file);
        let lock = file.lock(path, create)?;
        let generation = self.generation();
        let mut open = Open::new(&self.location, role, create, generation, &self.stop)?;
        if !lock.as_ref().is_some_and(|lock| lock.is_on(path)) {
            return Err(replaced(path));
        }
        open.lock = lock;
        file.opened(path);
        Ok(open)
    }

    fn look_is_due(&self, now: Instant) -> bool {
        let looked = self.looked.load(Ordering::Relaxed);
        looked == 0 || millis(now.duration_since(self.start)).saturating_sub(looked) >= millis(LOOK)
    }

    /// Checks that the path still names the open file; if not, its connections and its lock are void.
    fn look(&self) {
        self.look_at(&mut self.file.lock());
    }

    fn look_at(&self, file: &mut Hold) {
        self.looked.store(millis(self.start.elapsed()).max(1), Ordering::Relaxed);
        let Location::File(path) = &self.location else {
            return;
        };
        if file.lost(path) {
            tracing::warn!(path = %path.display(), "database file was replaced or removed");
            self.generation.fetch_add(1, Ordering::AcqRel);
            self.changes.unknown();
        }
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("location", &self.location).finish_non_exhaustive()
    }
}
