import type { VNode } from "preact";

export interface ChoiceProps<T extends string | number> {
  /** What is chosen, for those who do not see the page. */
  readonly legend: string;
  /** Of the radio buttons; one of a kind on a page. */
  readonly name: string;
  readonly options: readonly { readonly value: T; readonly label: string }[];
  readonly chosen: T;
  readonly onChoose: (value: T) => void;
}

/** One of a few, as radio buttons. */
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
