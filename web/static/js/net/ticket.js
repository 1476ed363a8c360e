// @ts-check
/** @import { Api } from './api.js' */

/**
 * A ticket for one dial of /ws: short-lived, single use, bound to this session and
 * this origin. It travels as a second offered subprotocol and never in a URL,
 * because URLs end up in logs.
 * @param {Api} api
 */
export async function ticket(api) {
  const answer = /** @type {any} */ (await api.call('POST', '/api/ws-ticket', { route: '/ws' }));
  if (typeof answer?.ticket !== 'string' || !/^[\w-]+\.[\w-]+\.[\w-]+$/.test(answer.ticket)) throw new Error('not a ticket');
  return answer.ticket;
}
