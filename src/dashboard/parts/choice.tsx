import type { VNode } from "preact";

export interface ChoiceProps<T extends string | number> {
  /** The name of the choice, for screen readers only. */
  readonly legend: string;
  /** The name of the radio buttons, unique on the page. */
  readonly name: string;
  readonly options: readonly { readonly value: T; readonly label: string }[];
  readonly chosen: T;
  readonly onChoose: (value: T) => void;
}

/** A choice of one option, as radio buttons. */
export function Choice<T extends string | number>({ legend, name, options, chosen, onChoose }: ChoiceProps<T>): VNode {
  return (
    <fieldset class="choice">
      <legend class="unseen">{legend}</legend>
      {options.map(({ value, label }) => (
        <label key={value}>
          <input type="radio" name={name} checked={value === chosen} onChange={() => onChoose(value)} /> {label}
        </label>
      ))}
    </fieldset>
  );
}
