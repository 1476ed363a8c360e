// @ts-check
/** The reactions that the server takes, in the order of the picker. A fixed list: a reaction cannot be a hidden message. */
export const EMOJI = Object.freeze(['👍', '👎', '❤️', '😂', '😮', '😢', '🎉', '🙏', '👀', '✅', '❌', '🔥', '🚀', '💡', '❓', '❗', '👏', '🤔', '😄', '☕', '⚓', '🛟', '🧭', '🔒']);
