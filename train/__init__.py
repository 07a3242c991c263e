"""The recipe of the bundled model: texts → speech → features → codec → language model →
models/higgs-small."""
