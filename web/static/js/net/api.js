// @ts-check
/** An answer of the API that is not a success. */
export class ApiError extends Error {
  /** @param {number} status 0 for no answer at all @param {string} code @param {string} words @param {number} retry ms to wait, 0 for unknown */
  constructor(status, code, words, retry = 0) {
    super(words);
    this.status = status;
    this.code = code;
    this.retry = retry;
  }
}

/**
 * JSON over HTTP, with the session's cookie and its CSRF token. The token is bound
 * to the session, so a refused one has two reasons: it was renewed (password
 * changed in another tab), and then the new one is fetched once; or another person
 * signed in on this browser, and then this page must stop instead of acting as them.
 */
export class Api {
  #csrf; #user; #fetch;

  /** @param {string} csrf @param {string} user id of the person this page was made for @param {typeof globalThis.fetch} [fetch] */
  constructor(csrf, user, fetch = globalThis.fetch.bind(globalThis)) {
    this.#csrf = csrf;
    this.#user = user;
    this.#fetch = fetch;
  }

  /**
   * @param {string} method @param {string} path @param {unknown} [body]
   * @returns {Promise<unknown>} null for an empty answer
   * @throws {ApiError}
   */
  call(method, path, body) { return this.withToken((csrf) => this.#once(method, path, body, csrf)); }

  /**
   * Sends a request that carries the token; once more if the token was renewed meanwhile.
   * @template T @param {(csrf: string) => Promise<T>} send @returns {Promise<T>}
   */
  async withToken(send) {
    try {
      return await send(this.#csrf);
    } catch (err) {
      if (!(err instanceof ApiError) || err.code !== 'csrf' || !(await this.#renewed())) throw err;
      return send(this.#csrf);
    }
  }

  /** @param {string} method @param {string} path @param {unknown} body @param {string} csrf */
  async #once(method, path, body, csrf) {
    /** @type {Record<string, string>} */
    const headers = { Accept: 'application/json' };
    if (method !== 'GET') headers['X-CSRF-Token'] = csrf;
    if (body !== undefined) headers['Content-Type'] = 'application/json';
    let res;
    try {
      res = await this.#fetch(path, { method, headers, body: body === undefined ? undefined : JSON.stringify(body), credentials: 'same-origin', redirect: 'error', cache: 'no-store' });
    } catch {
      throw new ApiError(0, 'offline', 'The server cannot be reached.');
    }
    const answer = res.status === 204 ? null : await res.json().catch(() => null);
    if (res.ok) return answer;
    const after = Number(res.headers.get('Retry-After'));
    throw new ApiError(res.status, String(answer?.code ?? ''), String(answer?.message || `The server answered with status ${res.status}.`), after > 0 ? after * 1000 : 0);
  }

  /** Fetches the token anew; true if it was another one. */
  async #renewed() {
    const s = /** @type {any} */ (await this.#once('GET', '/api/session', undefined, ''));
    if (s?.user?.id !== this.#user) throw new ApiError(401, 'signed_out', 'Your session ended.');
    const other = typeof s.csrf_token === 'string' && s.csrf_token !== this.#csrf;
    if (other) this.#csrf = s.csrf_token;
    return other;
  }
}
