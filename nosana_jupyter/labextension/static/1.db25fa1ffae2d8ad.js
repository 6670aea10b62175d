"use strict";(self.rspackChunknosana_jupyter=self.rspackChunknosana_jupyter||[]).push([[1],{29(n,o,r){var e=r(27),a=r.n(e),t=r(28),i=(r.n(t))()(a());i.push([n.id,`/*
 * What all parts share. Colours are those of JupyterLab's theme, so that each theme is followed.
 *
 * The badge of a local network is the one colour of ours: text on it is readable in any theme.
 */

.nj-Panel,
.nj-Card {
  --nj-gap: 8px;
  --nj-local: #6d3fc4;
  --nj-radius: var(--jp-border-radius, 2px);
  --nj-quiet: var(--jp-ui-font-color1);
  --nj-track: var(--jp-border-color2);
  --nj-hover: color-mix(in srgb, var(--jp-layout-color2) 70%, var(--jp-layout-color3));
}

:root[data-jp-theme-light='false'] .nj-Panel,
[data-jp-theme-light='false'] .nj-Panel,
[data-jp-theme-light='false'] .nj-Card {
  --nj-local: #7a4fd0;
}

/* Digits that tick keep their place. */
.nj-Number {
  font-variant-numeric: tabular-nums;
}

.nj-Mono {
  font-family: var(--jp-code-font-family);
  font-size: var(--jp-ui-font-size0);
}

.nj-Cut {
  overflow: hidden;
  text-overflow: ellipsis;
  white-space: nowrap;
  min-width: 0;
}

.nj-Hidden {
  position: absolute;
  width: 1px;
  height: 1px;
  overflow: hidden;
  clip-path: inset(50%);
  white-space: nowrap;
}

.nj-Badge {
  display: inline-block;
  padding: 0 6px;
  border-radius: 8px;
  border: 1px solid var(--jp-border-color1);
  color: var(--jp-ui-font-color1);
  font-size: var(--jp-ui-font-size0);
  font-weight: 600;
  line-height: 15px;
  text-transform: uppercase;
  letter-spacing: 0.04em;
  white-space: nowrap;
}

.nj-Badge[data-kind='local'] {
  border-color: transparent;
  background: var(--nj-local);
  color: #fff;
}

.nj-Badge[data-kind='mainnet'] {
  border-color: transparent;
  background: var(--jp-inverse-layout-color3);
  color: var(--jp-ui-inverse-font-color0);
}

.nj-Buttons {
  display: flex;
  flex-wrap: wrap;
  gap: 6px;
}

.nj-Button {
  display: inline-flex;
  align-items: center;
  justify-content: center;
  gap: 4px;
  box-sizing: border-box;
  min-height: 24px;
  padding: 0 10px;
  border: 1px solid var(--jp-border-color1);
  border-radius: var(--nj-radius);
  background: var(--jp-layout-color1);
  color: var(--jp-ui-font-color1);
  font-family: var(--jp-ui-font-family);
  font-size: var(--jp-ui-font-size1);
  line-height: 22px;
  cursor: pointer;
}

.nj-Button:hover:not(:disabled) {
  background: var(--jp-layout-color2);
}

/* Not pressed now, but read all the same. */
.nj-Button:disabled,
.nj-Button[data-kind]:disabled {
  border: 1px dashed var(--jp-border-color1);
  background: transparent;
  color: var(--jp-ui-font-color2);
  cursor: default;
}

.nj-Button[data-kind='main'] {
  border-color: transparent;
  background: var(--jp-accept-color-normal, var(--jp-brand-color1));
  color: #fff;
}

.nj-Button[data-kind='danger'] {
  border-color: transparent;
  background: var(--jp-warn-color-normal, var(--jp-error-color1));
  color: #fff;
}

.nj-Button[data-kind='main']:hover:not(:disabled) {
  background: var(--jp-accept-color-hover, var(--jp-brand-color0));
}

.nj-Button[data-kind='danger']:hover:not(:disabled) {
  background: var(--jp-warn-color-hover, var(--jp-error-color0));
}

.nj-Button[data-kind='icon'] {
  min-height: 22px;
  width: 24px;
  padding: 0;
  border-color: transparent;
  background: transparent;
}

.nj-Button[data-kind='icon']:hover:not(:disabled) {
  background: var(--nj-hover);
}

.nj-Panel code {
  padding: 0 3px;
  border-radius: 2px;
  background: var(--jp-layout-color3);
  color: var(--jp-ui-font-color0);
  font-family: var(--jp-code-font-family);
  font-size: var(--jp-ui-font-size0);
  overflow-wrap: anywhere;
}

.nj-Panel pre code {
  padding: 0;
  background: none;
  color: inherit;
  font-size: inherit;
}

.nj-Button[data-kind='link'] {
  min-height: 20px;
  padding: 0;
  border: 0;
  background: transparent;
  color: var(--jp-content-link-color, var(--jp-brand-color0));
}

.nj-Button[data-kind='link']:hover:not(:disabled) {
  background: transparent;
  text-decoration: underline;
}

.nj-Button:focus-visible,
.nj-Section-head button:focus-visible,
.nj-Input:focus-visible {
  outline: 2px solid var(--jp-brand-color1);
  outline-offset: -1px;
}

.nj-Input {
  box-sizing: border-box;
  width: 100%;
  height: 26px;
  padding: 0 8px;
  border: 1px solid var(--jp-border-color1);
  border-radius: var(--nj-radius);
  background: var(--jp-layout-color1);
  color: var(--jp-ui-font-color0);
  font-family: var(--jp-ui-font-family);
  font-size: var(--jp-ui-font-size1);
}

.nj-Input::placeholder {
  color: var(--jp-ui-font-color2);
  opacity: 1;
}
`,""]),r.d(o,{},{A:i})},34(n,o,r){var e=r(27),a=r.n(e),t=r(28),i=(r.n(t))()(a());i.push([n.id,`/* The job card, under a cell. */

.nj-CardOutput {
  padding: 4px 0;
}

.nj-Card {
  container-type: inline-size;
  border: 1px solid var(--jp-border-color2);
  border-radius: 4px;
  background: var(--jp-layout-color1);
  color: var(--jp-ui-font-color1);
  font-family: var(--jp-ui-font-family);
  font-size: var(--jp-ui-font-size1);
  line-height: 1.4;
  overflow: hidden;
}

.nj-Card-other {
  margin: 0;
  padding: 6px 10px;
}

.nj-Card-line {
  display: flex;
  align-items: center;
  min-height: 32px;
}

.nj-Card-head {
  display: flex;
  flex: 1 1 auto;
  align-items: center;
  gap: 6px;
  min-width: 0;
  min-height: 32px;
  padding: 0 10px 0 4px;
  border: 0;
  background: none;
  color: inherit;
  font: inherit;
  text-align: left;
  cursor: pointer;
}

.nj-Card-head:hover {
  background: var(--jp-layout-color2);
}

.nj-Card-head:focus-visible {
  outline: 2px solid var(--jp-brand-color1);
  outline-offset: -2px;
  border-radius: 3px;
}

.nj-Card-caret {
  display: flex;
  flex: none;
}

.nj-Card-caret svg {
  display: block;
  width: 16px;
}

.nj-Card-state {
  flex: none;
  font-weight: 600;
}

.nj-Card-what {
  flex: 1 1 0;
  min-width: 0;
  overflow: hidden;
  color: var(--jp-ui-font-color2);
  text-overflow: ellipsis;
  white-space: nowrap;
}

.nj-Card-figures {
  display: flex;
  flex: none;
  gap: 14px;
  font-variant-numeric: tabular-nums;
  white-space: nowrap;
}

.nj-Card-time,
.nj-Card-cap {
  color: var(--jp-ui-font-color2);
}

.nj-Card .nj-Card-stop {
  flex: none;
  min-width: 76px;
  margin-right: 4px;
}

.nj-Card p {
  margin: 0;
}

.nj-Card .nj-Button[aria-disabled='true'] {
  opacity: 0.6;
  cursor: default;
}

/* What is waited for, as far as it is known how much is done. */
.nj-Card-share {
  height: 2px;
  background: var(--jp-layout-color2);
}

.nj-Card-share span {
  display: block;
  height: 100%;
  background: var(--jp-brand-color1);
  transition: width 0.6s ease-out;
}

.nj-Sign {
  flex: none;
  width: 12px;
  height: 12px;
}

.nj-Sign-arc,
.nj-Sign-track {
  fill: none;
  stroke: currentcolor;
  stroke-width: 1.7;
  stroke-linecap: round;
  stroke-linejoin: round;
}

.nj-Sign-track {
  opacity: 0.25;
}

.nj-Sign-works {
  color: var(--jp-success-color1);
  animation: nj-breathe 2s ease-in-out infinite;
}

.nj-Sign-waits {
  color: var(--jp-brand-color1);
  animation: nj-turn 1.1s linear infinite;
}

.nj-Sign-alone,
.nj-Sign-done {
  color: var(--jp-success-color1);
}

.nj-Sign-failed {
  color: var(--jp-error-color1);
}

.nj-Sign-stopped {
  color: var(--jp-warn-color1);
}

.nj-Sign-unknown {
  color: var(--jp-ui-font-color2);
}

@keyframes nj-turn {
  to {
    transform: rotate(360deg);
  }
}

.nj-Card-body {
  display: flex;
  flex-direction: column;
  gap: 12px;
  border-top: 1px solid var(--jp-border-color2);
  padding: 10px 12px 12px;
}

.nj-Card-body[hidden] {
  display: none;
}

.nj-Card-text,
.nj-Card-told {
  overflow-wrap: anywhere;
}

.nj-Card-told {
  color: var(--jp-ui-font-color2);
}

.nj-Charts {
  display: grid;
  grid-template-columns: repeat(auto-fit, minmax(200px, 1fr));
  gap: 12px 24px;
}

.nj-Chart {
  min-width: 0;
  margin: 0;
}

.nj-Chart figcaption,
.nj-Chart-foot,
.nj-Cost-words,
.nj-CardLog-head {
  display: flex;
  flex-wrap: wrap;
  justify-content: space-between;
  gap: 0 12px;
}

.nj-Chart figcaption,
.nj-Cost-words,
.nj-CardLog-head {
  color: var(--jp-ui-font-color2);
}

.nj-Chart strong,
.nj-Cost strong {
  color: var(--jp-ui-font-color1);
  font-weight: 600;
  font-variant-numeric: tabular-nums;
}

.nj-Chart-plot {
  position: relative;
  height: 40px;
  margin: 4px 3px 2px 0;
  border-bottom: 1px solid var(--jp-border-color2);
}

.nj-Chart-plot svg {
  display: block;
  width: 100%;
  height: 100%;
  overflow: visible;
}

.nj-Chart-area {
  fill: var(--jp-brand-color1);
  opacity: 0.12;
}

.nj-Chart-line {
  fill: none;
  stroke: var(--jp-brand-color1);
  stroke-width: 1.5;
  stroke-linejoin: round;
  vector-effect: non-scaling-stroke;
}

.nj-Chart-end {
  position: absolute;
  right: -3px;
  width: 6px;
  height: 6px;
  margin-top: -3px;
  border-radius: 50%;
  background: var(--jp-brand-color1);
}

.nj-Chart-foot,
.nj-Cost-left {
  color: var(--jp-ui-font-color2);
  font-size: var(--jp-ui-font-size0);
}

.nj-Cost-bar {
  height: 6px;
  margin: 4px 0 2px;
  border-radius: 3px;
  background: var(--jp-border-color2);
  overflow: hidden;
}

.nj-Cost-bar span {
  display: block;
  height: 100%;
  min-width: 2px;
  border-radius: 3px;
  background: var(--jp-brand-color1);
  transition: width 1s linear;
}

.nj-Cost.nj-mod-near .nj-Cost-bar span {
  background: var(--jp-warn-color1);
}

.nj-Card .nj-CardLog pre {
  max-height: 180px;
  margin: 4px 0 0;
  padding: 6px 8px;
  border: 1px solid var(--jp-border-color2);
  border-radius: 3px;
  background: var(--jp-layout-color0);
  color: var(--jp-ui-font-color1);
  font-family: var(--jp-code-font-family);
  font-size: var(--jp-code-font-size);
  line-height: 1.4;
  overflow: auto;
  overflow-wrap: anywhere;
  white-space: pre-wrap;
}

.nj-CardLog pre:focus-visible {
  outline: 2px solid var(--jp-brand-color1);
  outline-offset: -2px;
}

.nj-Card .nj-Rows {
  display: grid;
  grid-template-columns: fit-content(40%) minmax(0, 1fr);
  gap: 2px 16px;
  margin: 0;
}

.nj-Card .nj-Rows > div {
  display: contents;
}

.nj-Card .nj-Rows dt {
  color: var(--jp-ui-font-color2);
  font-weight: normal;
}

.nj-Card .nj-Rows dd {
  margin: 0;
  overflow-wrap: anywhere;
  font-variant-numeric: tabular-nums;
}

.nj-Card-actions,
.nj-Extend {
  display: flex;
  flex-wrap: wrap;
  align-items: center;
  gap: 6px;
}

.nj-Card-actions:empty {
  display: none;
}

.nj-Extend .nj-Input {
  width: 88px;
}

@container (width < 520px) {
  .nj-Card-cap {
    display: none;
  }

  .nj-Card-figures {
    gap: 10px;
  }
}

@container (width < 360px) {
  .nj-Card-what {
    display: none;
  }

  .nj-Card-figures {
    margin-left: auto;
  }
}

@media (prefers-reduced-motion: reduce) {
  .nj-Sign,
  .nj-Card-share span,
  .nj-Cost-bar span {
    animation: none;
    transition: none;
  }
}
`,""]),r.d(o,{},{A:i})},35(n,o,r){var e=r(27),a=r.n(e),t=r(28),i=(r.n(t))()(a());i.push([n.id,`/* The section of GPUs. */

.nj-Gpus {
  display: flex;
  flex-direction: column;
  gap: 10px;
}

.nj-Panel .nj-Note {
  color: var(--jp-ui-font-color1);
  font-size: var(--jp-ui-font-size0);
}

.nj-Panel .nj-Note:empty {
  display: none;
}

.nj-Estimate {
  display: flex;
  flex-direction: column;
  gap: 6px;
}

.nj-Estimate-line {
  display: flex;
  flex-wrap: wrap;
  justify-content: space-between;
  gap: 0 8px;
}

.nj-Panel .nj-Reasons,
.nj-Panel .nj-Markets {
  margin: 0;
  padding: 0;
  list-style: none;
}

.nj-Why summary {
  font-size: var(--jp-ui-font-size0);
  cursor: pointer;
}

.nj-Why summary:focus-visible {
  outline: 2px solid var(--jp-brand-color1);
}

.nj-Why p {
  margin: 4px 0 0;
  font-size: var(--jp-ui-font-size0);
  overflow-wrap: anywhere;
}

.nj-Reasons li {
  display: flex;
  justify-content: space-between;
  gap: 12px;
  padding: 1px 0;
  font-size: var(--jp-ui-font-size0);
}

.nj-Reasons li > :first-child {
  min-width: 0;
  overflow-wrap: anywhere;
}

.nj-Reasons li > :last-child {
  flex: none;
}

.nj-Slider-words {
  display: flex;
  flex-wrap: wrap;
  justify-content: space-between;
}

.nj-Slider-words output {
  font-weight: 600;
}

.nj-Slider-track {
  position: relative;
  margin: 0 8px;
}

/* What the cell needs, above the track. */
.nj-Slider-need {
  position: absolute;
  top: 1px;
  height: 3px;
  min-width: 4px;
  border-radius: 2px;
  background: var(--jp-warn-color1);
}

.nj-Slider input {
  display: block;
  width: calc(100% + 16px);
  height: 22px;
  margin: 0 -8px;
  background: transparent;
  appearance: none;
  cursor: pointer;
}

.nj-Slider input::-webkit-slider-runnable-track {
  height: 4px;
  border-radius: 2px;
  background: linear-gradient(
    to right,
    var(--jp-brand-color1) var(--nj-at),
    var(--jp-border-color1) var(--nj-at)
  );
}

.nj-Slider input::-moz-range-track {
  height: 4px;
  border-radius: 2px;
  background: linear-gradient(
    to right,
    var(--jp-brand-color1) var(--nj-at),
    var(--jp-border-color1) var(--nj-at)
  );
}

.nj-Slider input::-webkit-slider-thumb {
  width: 16px;
  height: 16px;
  margin-top: -6px;
  border: 2px solid var(--jp-layout-color1);
  border-radius: 50%;
  background: var(--jp-brand-color1);
  appearance: none;
}

.nj-Slider input::-moz-range-thumb {
  width: 12px;
  height: 12px;
  border: 2px solid var(--jp-layout-color1);
  border-radius: 50%;
  background: var(--jp-brand-color1);
}

.nj-Slider input:focus-visible {
  outline: none;
}

.nj-Slider input:focus-visible::-webkit-slider-thumb {
  outline: 2px solid var(--jp-brand-color1);
  outline-offset: 1px;
}

.nj-Slider input:focus-visible::-moz-range-thumb {
  outline: 2px solid var(--jp-brand-color1);
  outline-offset: 1px;
}

.nj-Market {
  display: grid;
  grid-template-columns: minmax(0, 1fr) max-content max-content;
  align-items: center;
  gap: 0 8px;
  margin: 0 -12px;
  padding: 6px 12px;
  border-top: 1px solid var(--jp-border-color2);
}

.nj-Market:last-child {
  border-bottom: 1px solid var(--jp-border-color2);
}

.nj-Market[data-chosen='true'] {
  box-shadow: inset 3px 0 0 var(--jp-brand-color1);
}

.nj-Market:hover {
  background: var(--jp-layout-color2);
}

.nj-Market-gpu,
.nj-Market-price {
  font-weight: 600;
}

.nj-Market-price,
.nj-Market-nos {
  text-align: right;
}

.nj-Market-price small {
  font-size: inherit;
  font-weight: 400;
}

.nj-Market-about,
.nj-Market-nos,
.nj-Market-others {
  color: var(--jp-ui-font-color1);
  font-size: var(--jp-ui-font-size0);
}

.nj-Market-about {
  display: flex;
  flex-wrap: wrap;
  gap: 0 8px;
}

.nj-Market-others {
  grid-column: 1 / -1;
}

.nj-Free::before {
  display: inline-block;
  width: 6px;
  height: 6px;
  margin-right: 4px;
  border-radius: 50%;
  background: var(--jp-success-color1);
  content: '';
  vertical-align: 1px;
}

.nj-Button.nj-Market-use {
  grid-column: 3;
  grid-row: 1 / span 2;
  padding: 0 9px;
}

.nj-Button.nj-More {
  align-self: flex-start;
}
`,""]),r.d(o,{},{A:i})},26(n,o,r){var e=r(27),a=r.n(e),t=r(28),i=r.n(t),l=r(29),p=r(30),d=r(31),s=r(32),c=r(33),j=r(34),u=r(35),f=r(36),g=i()(a());g.i(l.A),g.i(p.A),g.i(d.A),g.i(s.A),g.i(c.A),g.i(j.A),g.i(u.A),g.i(f.A),g.push([n.id,`
`,""]),r.d(o,{},{A:g})},32(n,o,r){var e=r(27),a=r.n(e),t=r(28),i=(r.n(t))()(a());i.push([n.id,`/* The section \`Jobs\`. */

.nj-Jobs,
.nj-History {
  display: flex;
  flex-direction: column;
  gap: 10px;
}

.nj-History {
  gap: 6px;
}

.nj-List {
  margin: 0;
  padding: 0;
  list-style: none;
}

.nj-JobSign {
  flex: none;
  width: 12px;
  height: 12px;
  fill: none;
  stroke: currentcolor;
  stroke-width: 1.8;
  color: var(--jp-ui-font-color2);
}

.nj-JobSign circle[fill='currentColor'],
.nj-JobSign rect {
  stroke: none;
}

.nj-JobSign[data-kind='works'],
.nj-JobSign[data-kind='alone'] {
  color: var(--jp-success-color1);
}

.nj-JobSign[data-kind='waits'] {
  color: var(--jp-brand-color1);
  animation: nj-turn 1.6s linear infinite;
}

.nj-JobSign[data-kind='failed'] {
  color: var(--jp-error-color1);
}

@keyframes nj-turn {
  to {
    transform: rotate(360deg);
  }
}

/* Under way. */

.nj-Job {
  display: flex;
  flex-direction: column;
  gap: 4px;
  padding: 8px 10px;
  border: 1px solid var(--jp-border-color2);
  border-radius: 4px;
}

.nj-Job + .nj-Job {
  margin-top: 8px;
}

.nj-Job-head {
  display: flex;
  align-items: center;
  gap: 6px;
}

.nj-Job-head .nj-Mono {
  flex: 1;
  color: var(--jp-ui-font-color0);
}

.nj-Job-clock {
  min-width: 4.2ch;
  text-align: right;
}

.nj-Job-state {
  overflow-wrap: anywhere;
}

.nj-Panel .nj-Job-place {
  font-size: var(--jp-ui-font-size0);
}

.nj-Job-place:empty,
.nj-Job-cost:empty,
.nj-Job-told:empty {
  display: none;
}

.nj-Job-cost {
  display: flex;
  flex-wrap: wrap;
  justify-content: space-between;
  gap: 0 8px;
  font-size: var(--jp-ui-font-size0);
}

.nj-Job-told {
  font-size: var(--jp-ui-font-size0);
}

.nj-Job-deeds {
  display: flex;
  flex-direction: column;
  gap: 6px;
  padding-top: 4px;
}

.nj-Ask {
  display: flex;
  flex-direction: column;
  gap: 6px;
  padding: 8px;
  border-radius: var(--nj-radius);
  background: var(--jp-layout-color2);
}

.nj-Spark {
  display: flex;
  align-items: stretch;
  gap: 8px;
  margin-top: 2px;
}

.nj-Spark svg {
  flex: 1;
  min-width: 0;
  height: 28px;
  border-bottom: 1px solid var(--jp-border-color2);
}

.nj-Spark > span {
  display: flex;
  flex-direction: column;
  justify-content: center;
  min-width: 76px;
  font-size: var(--jp-ui-font-size0);
  line-height: 14px;
  text-align: right;
}

.nj-Spark-area {
  fill: var(--jp-brand-color1);
  fill-opacity: 0.18;
}

.nj-Spark-line {
  fill: none;
  stroke: var(--jp-brand-color1);
  stroke-width: 1.4;
  vector-effect: non-scaling-stroke;
}

.nj-Log summary {
  cursor: pointer;
  font-size: var(--jp-ui-font-size0);
  line-height: 18px;
}

.nj-Log summary:focus-visible,
.nj-Log pre:focus-visible,
.nj-Past-head:focus-visible {
  outline: 2px solid var(--jp-brand-color1);
  outline-offset: -2px;
}

.nj-Log pre {
  max-height: 180px;
  margin: 4px 0 0;
  padding: 6px 8px;
  overflow: auto;
  background: var(--jp-layout-color2);
  color: var(--jp-ui-font-color1);
  font-family: var(--jp-code-font-family);
  font-size: 11px;
  line-height: 1.4;
  white-space: pre-wrap;
  overflow-wrap: anywhere;
}

/* Over. */

.nj-History-head {
  display: flex;
  align-items: center;
  gap: 8px;
}

.nj-History-head > .nj-Number {
  flex: 1;
  font-size: var(--jp-ui-font-size0);
}

.nj-History-head > .nj-Button {
  margin-right: -5px;
}

.nj-Past {
  margin: 0 -12px;
  border-bottom: 1px solid var(--jp-border-color3, var(--jp-border-color2));
  content-visibility: auto;
  contain-intrinsic-height: auto 45px;
}

.nj-Past-head {
  display: grid;
  grid-template-columns: 12px minmax(0, 1fr) auto;
  align-items: center;
  gap: 0 7px;
  width: 100%;
  padding: 5px 12px;
  border: 0;
  background: transparent;
  color: var(--jp-ui-font-color1);
  font: inherit;
  text-align: left;
  cursor: pointer;
}

.nj-Past-head:hover {
  background: var(--jp-layout-color2);
}

.nj-Past-head .nj-Mono {
  color: var(--jp-ui-font-color0);
}

.nj-Past-paid,
.nj-Past-head time {
  text-align: right;
}

.nj-Past-line {
  grid-column: 2;
}

.nj-Past-line,
.nj-Past-head time {
  font-size: var(--jp-ui-font-size0);
}

.nj-Past > div:not([hidden]) {
  padding: 2px 12px 12px 31px;
}

.nj-Receipt {
  display: flex;
  flex-direction: column;
  gap: 6px;
  font-size: var(--jp-ui-font-size0);
}

.nj-Receipt dl {
  display: grid;
  grid-template-columns: auto minmax(0, 1fr);
  gap: 2px 10px;
  margin: 0;
}

.nj-Receipt dt {
  color: var(--jp-ui-font-color1);
}

.nj-Receipt dd {
  margin: 0;
  overflow-wrap: anywhere;
  color: var(--jp-ui-font-color0);
}

.nj-Address {
  display: flex;
  align-items: center;
  gap: 2px;
  height: 16px;
}

.nj-History-more {
  margin-top: 4px;
}
`,""]),r.d(o,{},{A:i})},30(n,o,r){var e=r(27),a=r.n(e),t=r(28),i=(r.n(t))()(a());i.push([n.id,`/* The panel, its sections, and what stands where there is nothing to show. */

.nj-Panel {
  min-width: 240px;
  overflow: hidden auto;
  background: var(--jp-layout-color1);
  color: var(--jp-ui-font-color1);
  font-family: var(--jp-ui-font-family);
  font-size: var(--jp-ui-font-size1);
  line-height: 1.45;
}

.nj-Panel p {
  margin: 0;
}

.nj-Section-head {
  position: sticky;
  top: 0;
  z-index: 2;
  margin: 0;
  font-size: inherit;
}

.nj-Section-head button {
  display: flex;
  align-items: center;
  box-sizing: border-box;
  width: 100%;
  height: 28px;
  padding: 0 10px 0 2px;
  border: 0;
  border-bottom: 1px solid var(--jp-border-color2);
  background: var(--jp-layout-color2);
  color: var(--jp-ui-font-color1);
  font-family: var(--jp-ui-font-family);
  font-size: var(--jp-ui-font-size1);
  font-weight: 600;
  text-align: left;
  cursor: pointer;
}

.nj-Section-head button:hover {
  background: var(--nj-hover);
}

.nj-Section-caret {
  display: flex;
}

.nj-Section-caret svg {
  width: 20px;
  height: 20px;
}

.nj-Section-title {
  flex: 1;
}

.nj-Section-aside {
  font-weight: 400;
}

.nj-Section-body {
  padding: 10px 12px 16px;
}

.nj-Section-body[hidden] {
  display: none;
}

.nj-Lost {
  color: var(--jp-ui-font-color1);
  background: var(--jp-warn-color3);
}

[data-jp-theme-light='false'] .nj-Lost {
  background: color-mix(in srgb, var(--jp-warn-color1) 25%, var(--jp-layout-color1));
}

.nj-Lost:not(:empty) {
  padding: 6px 12px;
}

.nj-Panel .nj-Empty {
  padding: 2px 0;
  color: var(--jp-ui-font-color1);
}

.nj-Trouble {
  display: flex;
  flex-direction: column;
  gap: 6px;
  padding: 8px 10px;
  border-left: 3px solid var(--jp-error-color1);
  background: var(--jp-layout-color2);
  overflow-wrap: anywhere;
}

.nj-Trouble-message {
  font-weight: 600;
}

.nj-Waiting {
  display: flex;
  flex-direction: column;
  gap: 8px;
  padding: 4px 0;
}

.nj-Waiting span {
  height: 12px;
  border-radius: var(--nj-radius);
  background: var(--nj-track);
  animation: nj-breathe 1.6s ease-in-out infinite;
}

.nj-Waiting span:last-child {
  width: 60%;
}

@keyframes nj-breathe {
  50% {
    opacity: 0.4;
  }
}

@media (prefers-reduced-motion: reduce) {
  .nj-Panel *,
  .nj-Card * {
    animation: none !important;
    transition: none !important;
  }
}
`,""]),r.d(o,{},{A:i})},33(n,o,r){var e=r(27),a=r.n(e),t=r(28),i=(r.n(t))()(a());i.push([n.id,`/* The item of the status bar. */

.nj-Status {
  display: flex;
}

.nj-Status-button {
  display: flex;
  align-items: center;
  gap: 4px;
  height: 100%;
  padding: 0 6px;
  border: 0;
  background: transparent;
  color: inherit;
  font: inherit;
  cursor: pointer;
}

.nj-Status-button:hover {
  background: color-mix(in srgb, currentcolor 12%, transparent);
}

.nj-Status-button:focus-visible {
  outline: 2px solid var(--jp-brand-color1);
  outline-offset: -2px;
}
`,""]),r.d(o,{},{A:i})},36(n,o,r){var e=r(27),a=r.n(e),t=r(28),i=(r.n(t))()(a());i.push([n.id,`/* The section of templates. */

.nj-Gallery,
.nj-Use,
.nj-Form,
.nj-Share {
  display: flex;
  flex-direction: column;
  gap: 10px;
}

.nj-Panel .nj-Use h3 {
  margin: 0;
  font-size: var(--jp-ui-font-size2);
  font-weight: 600;
}

.nj-Tags {
  display: flex;
  flex-wrap: wrap;
  gap: 4px;
}

.nj-Tag {
  padding: 0 8px;
  border: 1px solid var(--jp-border-color1);
  border-radius: 10px;
  background: transparent;
  color: var(--jp-ui-font-color1);
  font-family: var(--jp-ui-font-family);
  font-size: var(--jp-ui-font-size0);
  line-height: 18px;
  cursor: pointer;
}

.nj-Tag:hover {
  background: var(--jp-layout-color2);
}

.nj-Tag[aria-pressed='true'] {
  border-color: var(--jp-brand-color1);
  box-shadow: inset 0 0 0 1px var(--jp-brand-color1);
}

.nj-Panel .nj-Templates {
  margin: 0 -12px;
  padding: 0;
  border-bottom: 1px solid var(--jp-border-color2);
  list-style: none;
}

.nj-Panel .nj-Templates:empty {
  display: none;
}

.nj-Template {
  display: flex;
  flex-direction: column;
  gap: 1px;
  box-sizing: border-box;
  width: 100%;
  padding: 7px 12px;
  border: 0;
  border-top: 1px solid var(--jp-border-color2);
  background: transparent;
  color: var(--jp-ui-font-color1);
  font: inherit;
  text-align: left;
  cursor: pointer;
}

.nj-Template:hover {
  background: var(--jp-layout-color2);
}

.nj-Template:focus-visible,
.nj-Tag:focus-visible,
.nj-Code summary:focus-visible,
.nj-Code pre:focus-visible {
  outline: 2px solid var(--jp-brand-color1);
  outline-offset: -2px;
}

.nj-Template-title {
  font-weight: 600;
}

.nj-Template-text {
  display: -webkit-box;
  overflow: hidden;
  -webkit-box-orient: vertical;
  -webkit-line-clamp: 2;
}

.nj-Template-about {
  font-size: var(--jp-ui-font-size0);
}

.nj-Button.nj-Back {
  align-self: flex-start;
  margin-left: -6px;
}

.nj-Back span {
  display: flex;
}

.nj-Foreign {
  padding: 8px 10px;
  border-left: 3px solid var(--jp-warn-color1);
  background: var(--jp-layout-color2);
  overflow-wrap: anywhere;
}

.nj-Panel .nj-About {
  display: grid;
  grid-template-columns: max-content minmax(0, 1fr);
  gap: 2px 12px;
  margin: 0;
  font-size: var(--jp-ui-font-size0);
}

.nj-Panel .nj-About > div {
  display: contents;
}

.nj-Panel .nj-About dt {
  font-weight: 600;
}

.nj-Panel .nj-About dd {
  margin: 0;
  overflow-wrap: anywhere;
}

.nj-Field {
  display: grid;
  grid-template-columns: minmax(0, 1fr);
  gap: 2px;
}

.nj-Field label {
  font-weight: 600;
}

.nj-Field[data-type='bool'] {
  grid-template-columns: max-content minmax(0, 1fr);
  align-items: center;
  gap: 2px 6px;
}

.nj-Field[data-type='bool'] label {
  grid-column: 2;
  grid-row: 1;
}

.nj-Field[data-type='bool'] input {
  grid-column: 1;
  grid-row: 1;
  margin: 0;
}

.nj-Field[data-type='bool'] .nj-Field-note {
  grid-column: 2;
}

.nj-Field-note {
  font-size: var(--jp-ui-font-size0);
}

.nj-Field-note:empty {
  display: none;
}

.nj-Field-problem {
  font-weight: 600;
}

.nj-Field-problem::before {
  content: '▲ ';
  color: var(--jp-error-color1);
}

.nj-Input[aria-invalid='true'] {
  border-color: var(--jp-error-color1);
  box-shadow: inset 0 0 0 1px var(--jp-error-color1);
}

.nj-Check {
  display: flex;
  align-items: center;
  gap: 6px;
}

.nj-Check input {
  margin: 0;
}

.nj-Code summary {
  cursor: pointer;
  font-weight: 600;
}

.nj-Panel .nj-Code pre,
.nj-Panel .nj-Excerpt {
  max-height: 320px;
  margin: 4px 0 0;
  padding: 8px;
  border: 1px solid var(--jp-border-color2);
  border-radius: var(--nj-radius);
  background: var(--jp-cell-editor-background);
  color: var(--jp-content-font-color1);
  font-family: var(--jp-code-font-family);
  font-size: 12px;
  line-height: 1.45;
  overflow: auto;
  white-space: pre;
}

.nj-Panel .nj-Excerpt {
  margin: 0;
  overflow: hidden;
  text-overflow: ellipsis;
}

.nj-Sure,
.nj-Address {
  display: flex;
  flex-direction: column;
  gap: 6px;
  padding: 8px 10px;
  background: var(--jp-layout-color2);
}

.nj-Address > div {
  display: flex;
  align-items: center;
  gap: 4px;
}

.nj-Panel .nj-Address code {
  min-width: 0;
  background: transparent;
  color: inherit;
  font-size: 12px;
  overflow-wrap: anywhere;
}
`,""]),r.d(o,{},{A:i})},31(n,o,r){var e=r(27),a=r.n(e),t=r(28),i=(r.n(t))()(a());i.push([n.id,`/* The section \`Wallet\`. */

.nj-Wallet {
  display: flex;
  flex-direction: column;
  align-items: stretch;
  gap: 10px;
}

.nj-Wallet > .nj-Button,
.nj-Deposit > .nj-Button {
  align-self: flex-start;
}

.nj-Wallet-who {
  display: flex;
  align-items: center;
  justify-content: space-between;
  min-height: 22px;
}

.nj-Wallet-address {
  display: flex;
  align-items: center;
  gap: 2px;
  margin-right: -5px;
}

.nj-Icon {
  display: flex;
}

.nj-Money {
  display: flex;
  flex-direction: column;
  gap: 2px;
  margin: 0;
}

.nj-Money > div {
  display: flex;
  align-items: baseline;
  justify-content: space-between;
  gap: 8px;
}

.nj-Money dd {
  margin: 0;
}

.nj-Money-main {
  color: var(--jp-ui-font-color0);
}

.nj-Money-main dd:first-of-type {
  font-size: 20px;
  font-weight: 500;
  letter-spacing: -0.01em;
  line-height: 26px;
}

.nj-Panel .nj-Quiet,
.nj-Money .nj-Money-rate {
  color: var(--nj-quiet);
  font-size: var(--jp-ui-font-size0);
}

.nj-Panel .nj-Quiet code,
.nj-Panel .nj-Empty code {
  padding: 0 3px;
  border-radius: 2px;
  background: var(--jp-layout-color2);
  color: var(--jp-ui-font-color1);
  font-family: var(--jp-code-font-family);
  font-size: var(--jp-ui-font-size0);
  white-space: normal;
  overflow-wrap: anywhere;
}

.nj-Heading {
  margin: 0;
  font-size: var(--jp-ui-font-size0);
  font-weight: 600;
  letter-spacing: 0.02em;
}

.nj-Spending {
  display: flex;
  flex-direction: column;
  gap: 4px;
}

.nj-Spending-row {
  display: flex;
  justify-content: space-between;
  gap: 8px;
}

.nj-Spending-budget {
  display: flex;
  flex-direction: column;
  gap: 3px;
  padding-bottom: 4px;
}

.nj-Bar {
  height: 4px;
  border-radius: 2px;
  background: var(--nj-track);
  overflow: hidden;
}

.nj-Bar span {
  display: block;
  height: 100%;
  border-radius: 2px;
  background: var(--jp-brand-color1);
}

.nj-Bar[data-level='near'] span {
  background: var(--jp-warn-color1);
}

.nj-Bar[data-level='over'] span {
  background: var(--jp-error-color1);
}

.nj-Deposit,
.nj-Deposit-body {
  display: flex;
  flex-direction: column;
  gap: 8px;
}

.nj-Deposit-address {
  overflow-wrap: anywhere;
}

.nj-Qr {
  align-self: center;
  width: min(100%, 168px);
  border-radius: 4px;
}
`,""]),r.d(o,{},{A:i})},28(n){n.exports=function(n){var o=[];return o.toString=function(){return this.map(function(o){var r="",e=void 0!==o[5];return o[4]&&(r+="@supports (".concat(o[4],") {")),o[2]&&(r+="@media ".concat(o[2]," {")),e&&(r+="@layer".concat(o[5].length>0?" ".concat(o[5]):""," {")),r+=n(o),e&&(r+="}"),o[2]&&(r+="}"),o[4]&&(r+="}"),r}).join("")},o.i=function(n,r,e,a,t){"string"==typeof n&&(n=[[null,n,void 0]]);var i={};if(e)for(var l=0;l<this.length;l++){var p=this[l][0];null!=p&&(i[p]=!0)}for(var d=0;d<n.length;d++){var s=[].concat(n[d]);e&&i[s[0]]||(void 0!==t&&(void 0===s[5]||(s[1]="@layer".concat(s[5].length>0?" ".concat(s[5]):""," {").concat(s[1],"}")),s[5]=t),r&&(s[2]&&(s[1]="@media ".concat(s[2]," {").concat(s[1],"}")),s[2]=r),a&&(s[4]?(s[1]="@supports (".concat(s[4],") {").concat(s[1],"}"),s[4]=a):s[4]="".concat(a)),o.push(s))}},o}},27(n){n.exports=function(n){return n[1]}},20(n){var o=[];function r(n){for(var r=-1,e=0;e<o.length;e++)if(o[e].identifier===n){r=e;break}return r}function e(n,e){for(var a={},t=[],i=0;i<n.length;i++){var l=n[i],p=e.base?l[0]+e.base:l[0],d=a[p]||0,s="".concat(p," ").concat(d);a[p]=d+1;var c=r(s),j={css:l[1],media:l[2],sourceMap:l[3],supports:l[4],layer:l[5]};if(-1!==c)o[c].references++,o[c].updater(j);else{var u=function(n,o){var r=o.domAPI(o);return r.update(n),function(o){o?(o.css!==n.css||o.media!==n.media||o.sourceMap!==n.sourceMap||o.supports!==n.supports||o.layer!==n.layer)&&r.update(n=o):r.remove()}}(j,e);e.byIndex=i,o.splice(i,0,{identifier:s,updater:u,references:1})}t.push(s)}return t}n.exports=function(n,a){var t=e(n=n||[],a=a||{});return function(n){n=n||[];for(var i=0;i<t.length;i++){var l=r(t[i]);o[l].references--}for(var p=e(n,a),d=0;d<t.length;d++){var s=r(t[d]);0===o[s].references&&(o[s].updater(),o.splice(s,1))}t=p}}},22(n){var o={};n.exports=function(n,r){var e=function(n){if(void 0===o[n]){var r=document.querySelector(n);if(window.HTMLIFrameElement&&r instanceof window.HTMLIFrameElement)try{r=r.contentDocument.head}catch(n){r=null}o[n]=r}return o[n]}(n);if(!e)throw Error("Couldn't find a style target. This probably means that the value for the 'insert' parameter is invalid.");e.appendChild(r)}},24(n){n.exports=function(n){var o=document.createElement("style");return n.setAttributes(o,n.attributes),n.insert(o,n.options),o}},23(n,o,r){n.exports=function(n){var o=r.nc;o&&n.setAttribute("nonce",o)}},21(n){n.exports=function(n){if("u"<typeof document)return{update:function(){},remove:function(){}};var o=n.insertStyleElement(n);return{update:function(r){var e,a,t;e="",r.supports&&(e+="@supports (".concat(r.supports,") {")),r.media&&(e+="@media ".concat(r.media," {")),(a=void 0!==r.layer)&&(e+="@layer".concat(r.layer.length>0?" ".concat(r.layer):""," {")),e+=r.css,a&&(e+="}"),r.media&&(e+="}"),r.supports&&(e+="}"),(t=r.sourceMap)&&"u">typeof btoa&&(e+="\n/*# sourceMappingURL=data:application/json;base64,".concat(btoa(unescape(encodeURIComponent(JSON.stringify(t))))," */")),n.styleTagTransform(e,o,n.options)},remove:function(){var n;null===(n=o).parentNode||n.parentNode.removeChild(n)}}}},25(n){n.exports=function(n,o){if(o.styleSheet)o.styleSheet.cssText=n;else{for(;o.firstChild;)o.removeChild(o.firstChild);o.appendChild(document.createTextNode(n))}}},19(n,o,r){var e=r(20),a=r.n(e),t=r(21),i=r.n(t),l=r(22),p=r.n(l),d=r(23),s=r.n(d),c=r(24),j=r.n(c),u=r(25),f=r.n(u),g=r(26),x={};x.styleTagTransform=f(),x.setAttributes=s(),x.insert=p().bind(null,"head"),x.domAPI=i(),x.insertStyleElement=j(),a()(g.A,x),g.A&&g.A.locals&&g.A.locals}}]);