// Preloaded into Azurite (node --require). Azurite keeps its metadata in LokiJS, which saves itself
// every five seconds: a SIGKILL would lose blobs that were acknowledged. Real Blob storage does not, so
// here the answer to each request that changed something waits until the change is in a journal beside
// the database. The whole database is saved only when the journal has grown, because saving takes as long
// as there are blobs (measured: over a second with a hundred thousand), whatever was changed.
"use strict";
const fs = require("node:fs");
const http = require("node:http");
const path = require("node:path");
const { createRequire } = require("node:module");

const Loki = createRequire(process.argv[1])("lokijs");
const LEAST = 32 << 20; // bytes of a journal that are never worth a save
const databases = new Set();
const journals = new WeakMap();

class Journal {
  constructor(file) {
    this.file = file;
    this.number = Math.max(0, ...this.numbers());
    this.descriptor = null;
    this.size = 0;
    this.limit = LEAST;
  }

  name(number) {
    return `${this.file}.journal-${number}`;
  }

  // Journals that a save has not made needless yet, oldest first: more than one if a save was cut off.
  numbers() {
    const start = `${path.basename(this.file)}.journal-`;
    const folder = path.dirname(this.file);
    const names = fs.existsSync(folder) ? fs.readdirSync(folder) : [];
    const found = names.filter((name) => name.startsWith(start)).map((name) => Number(name.slice(start.length)));
    return found.sort((a, b) => a - b);
  }

  add(changes) {
    this.descriptor ??= fs.openSync(this.name(this.number), "a");
    const lines = Buffer.from(changes.map((change) => JSON.stringify(change) + "\n").join(""));
    for (let at = 0; at < lines.length; ) at += fs.writeSync(this.descriptor, lines, at);
    this.size += lines.length;
  }

  // Begin another journal; what stands in those before will be in the database that is saved now.
  rotate() {
    if (this.descriptor !== null) fs.closeSync(this.descriptor);
    this.descriptor = null;
    this.size = 0;
    return this.number++;
  }

  drop(last) {
    for (const number of this.numbers()) if (number <= last) fs.rmSync(this.name(number), { force: true });
    this.limit = Math.max(LEAST, 2 * fs.statSync(this.file).size);
  }

  // Changes are whole objects, so playing those of a journal again that was saved already ends the same.
  replay(saved) {
    const collections = new Map(saved.collections.map((one) => [one.name, one]));
    const objects = new Map(
      saved.collections.map((one) => [one.name, new Map(one.data.map((object) => [object.$loki, object]))]),
    );
    for (const number of this.numbers()) {
      for (const line of fs.readFileSync(this.name(number), "utf8").split("\n")) {
        const change = parsed(line);
        if (change === null || !collections.has(change.name)) continue;
        const known = objects.get(change.name);
        if (change.operation === "R") known.delete(change.obj.$loki);
        else known.set(change.obj.$loki, change.obj);
        const collection = collections.get(change.name);
        collection.maxId = Math.max(collection.maxId ?? 0, change.obj.$loki);
      }
    }
    for (const [name, known] of objects) {
      const collection = collections.get(name);
      collection.data = [...known.values()].sort((a, b) => a.$loki - b.$loki);
      collection.changes = [];
    }
  }
}

// A last line that was cut off belongs to a request that was never answered.
function parsed(line) {
  try {
    return line ? JSON.parse(line) : null;
  } catch {
    return null;
  }
}

const configure = Loki.prototype.configureOptions;
Loki.prototype.configureOptions = function (...options) {
  databases.add(this);
  this.ignoreAutosave = true;
  return configure.apply(this, options);
};

function journalOf(database) {
  if (!journals.has(database)) journals.set(database, new Journal(database.filename));
  return journals.get(database);
}

const addCollection = Loki.prototype.addCollection;
Loki.prototype.addCollection = function (...options) {
  const collection = addCollection.apply(this, options);
  collection.setChangesApi(true);
  return collection;
};

const load = Loki.prototype.loadJSONObject;
Loki.prototype.loadJSONObject = function (saved, ...options) {
  if (!databases.has(this)) return load.call(this, saved, ...options);
  const journal = journalOf(this);
  const replayed = journal.numbers().length > 0;
  if (replayed) journal.replay(saved);
  const done = load.call(this, saved, ...options);
  if (replayed) for (const collection of this.collections) collection.ensureAllIndexes(true);
  return done;
};

// After this, every change made so far survives the process.
function keep(database) {
  const changes = database.generateChangesNotification();
  if (changes.length) journalOf(database).add(changes);
  database.clearChanges();
}

const save = Loki.prototype.saveDatabaseInternal;
Loki.prototype.saveDatabaseInternal = function (callback) {
  keep(this);
  const journal = journalOf(this);
  const last = journal.rotate();
  return save.call(this, (error) => {
    if (!error) journal.drop(last);
    if (callback) callback(error);
    else failed(error);
  });
};

function failed(error) {
  if (!error) return;
  console.error("the metadata could not be saved:", error);
  process.exit(70);
}

const end = http.ServerResponse.prototype.end;
http.ServerResponse.prototype.end = function (...content) {
  try {
    for (const database of databases) {
      keep(database);
      if (journalOf(database).size > journalOf(database).limit) database.saveDatabase(failed);
    }
  } catch (error) {
    failed(error);
  }
  return end.apply(this, content);
};
