//! Rows in columns.

/// The rows under their heads; what is empty shows as `-`.
pub(crate) fn table<const N: usize>(heads: [&str; N], rows: Vec<[String; N]>) -> String {
    let heads = heads.map(str::to_owned);
    let all: Vec<&[String; N]> = std::iter::once(&heads).chain(&rows).collect();
    let width = |column: usize| all.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
    let widths: Vec<usize> = (0..N).map(width).collect();
    let line = |row: &&[String; N]| {
        let cell = |(text, width): (&String, &usize)| match text.is_empty() {
            true => format!("{:width$}", "-"),
            false => format!("{text:width$}"),
        };
        let cells: Vec<String> = row.iter().zip(&widths).map(cell).collect();
        cells.join("  ").trim_end().to_owned()
    };
    all.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_what_is_in_them() {
        let rows = vec![["a".into(), "long enough".into()], ["longer".into(), String::new()]];
        assert_eq!(table(["x", "y"], rows), "x       y\na       long enough\nlonger  -");
    }
}
