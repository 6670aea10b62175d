/** Icons of ours; all else is JupyterLab's own. */

import { LabIcon } from '@jupyterlab/ui-components';

/** Two links of a chain that cross as an N does. */
export const nosanaIcon = new LabIcon({
  name: 'nosana-jupyter:nosana',
  svgstr: `<svg xmlns="http://www.w3.org/2000/svg" width="16" viewBox="0 0 24 24">
  <g class="jp-icon3" fill="#616161">
    <path d="M12 1.6 21 6.8v10.4l-9 5.2-9-5.2V6.8zm0 2.3L5 7.95v8.1l7 4.05 7-4.05v-8.1z"/>
    <path d="M8.4 15.9V8.1h1.9l3.5 4.7V8.1h1.8v7.8h-1.8l-3.6-4.8v4.8z"/>
  </g>
</svg>`
});

export const copyDoneIcon = new LabIcon({
  name: 'nosana-jupyter:copied',
  svgstr: `<svg xmlns="http://www.w3.org/2000/svg" width="16" viewBox="0 0 24 24">
  <path class="jp-icon3" fill="#616161" d="M9 16.2 4.8 12l-1.4 1.4L9 19 21 7l-1.4-1.4z"/>
</svg>`
});
