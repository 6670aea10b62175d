/** Files of the server, saved as the browser saves files. */

import { Client } from '../api';

/** Fetch a file and hand it to the browser under the name that the server gives it. */
export async function save(client: Client, path: string): Promise<void> {
  const { name, content } = await client.file(path);
  const url = URL.createObjectURL(content);
  const link = document.createElement('a');
  link.href = url;
  link.download = name;
  link.click();
  window.setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
