// @ts-check
/**
 * What a role may do, so that the page offers only what can work. The server
 * decides again on every command: hiding a button is manners, not a control.
 * @typedef {'reader'|'member'|'moderator'|'owner'} Role
 */
const RANK = { reader: 1, member: 2, moderator: 3, owner: 4 };
const LEAST = { send: 2, react: 2, delete_any: 3, invite: 3, mute: 3, remove: 3, ban: 3, change_role: 4 };

/** @param {string} role */
export const rank = (role) => (Object.hasOwn(RANK, role) ? RANK[/** @type {Role} */ (role)] : 0);

/** @param {string} role @param {keyof typeof LEAST} action */
export const can = (role, action) => rank(role) >= LEAST[action];

/** Nobody moderates an equal. @param {string} actor @param {keyof typeof LEAST} action @param {string} target */
export const canOn = (actor, action, target) => can(actor, action) && rank(actor) > rank(target);
