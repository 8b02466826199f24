// One's own password.

import { post } from '../api.js';
import { ask } from '../dialog.js';
import { field, values } from '../form.js';
import { done } from '../notice.js';

export async function password() {
    const changed = await ask({
        title: 'Change your password', action: 'Change',
        body: [
            field({ label: 'Password until now', name: 'old', type: 'password', autocomplete: 'current-password', required: true }),
            field({ label: 'New password', name: 'fresh', type: 'password', autocomplete: 'new-password', required: true, hint: 'Your other sessions end.' }),
            field({ label: 'New password, again', name: 'again', type: 'password', autocomplete: 'new-password', required: true }),
        ],
        run(form) {
            const { old, fresh, again } = values(form);
            if (fresh !== again)
                throw new Error('The two new passwords differ.');
            return post('/session/password', { old, new: fresh });
        },
    });
    if (changed)
        done('Your password has been changed.');
}
