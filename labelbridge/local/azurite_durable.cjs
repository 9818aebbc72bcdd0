// Preloaded into Azurite (node --require). Azurite keeps its metadata in LokiJS, which saves itself
// every five seconds: a SIGKILL would lose blobs that were acknowledged. Real Blob storage does not, so
// here the answer to each request that may change something waits until the metadata is on disk.
"use strict";
const http = require("node:http");
const { createRequire } = require("node:module");

const Loki = createRequire(process.argv[1])("lokijs");
const databases = new Set();

const configure = Loki.prototype.configureOptions;
Loki.prototype.configureOptions = function (...options) {
  databases.add(this);
  return configure.apply(this, options);
};

function saved(database) {
  if (!database.autosaveDirty() && !database.throttledSavePending) return Promise.resolve();
  return new Promise((resolve, reject) => {
    database.saveDatabase((error) => (error ? reject(error) : resolve()));
  });
}

const end = http.ServerResponse.prototype.end;
http.ServerResponse.prototype.end = function (...content) {
  if (this.labelbridgeEnding || this.req.method === "GET" || this.req.method === "HEAD") {
    return end.apply(this, content);
  }
  this.labelbridgeEnding = true;
  Promise.all([...databases].map(saved)).then(
    () => end.apply(this, content),
    (error) => {
      console.error("the metadata could not be saved:", error);
      process.exit(70);
    },
  );
  return this;
};
