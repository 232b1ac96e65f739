// @ts-check
// What the browser keeps of a drawing across reloads: IndexedDB, one document.

const NAME = "allaprima", STORE = "drawings", KEY = "current";

/** @returns {Promise<IDBDatabase>} */
function open() {
  return new Promise((resolve, reject) => {
    const asked = indexedDB.open(NAME, 1);
    asked.onupgradeneeded = () => asked.result.createObjectStore(STORE);
    asked.onsuccess = () => resolve(asked.result);
    asked.onerror = () => reject(asked.error);
  });
}

/** @param {IDBTransactionMode} mode @param {(store: IDBObjectStore) => IDBRequest} act */
async function transact(mode, act) {
  const database = await open();
  try {
    return await new Promise((resolve, reject) => {
      const transaction = database.transaction(STORE, mode);
      const request = act(transaction.objectStore(STORE));
      transaction.oncomplete = () => resolve(request.result);
      transaction.onerror = transaction.onabort = () => reject(transaction.error);
    });
  } finally {
    database.close();
  }
}

/** @param {unknown} drawing */
export const keep = (drawing) => transact("readwrite", (store) => store.put(drawing, KEY)).catch(() => {});

/** @returns {Promise<any>} */
export const kept = () => transact("readonly", (store) => store.get(KEY)).catch(() => null);
