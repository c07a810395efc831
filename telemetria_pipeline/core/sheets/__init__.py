"""Any CSV or workbook as text cells with their addresses, or a refusal that its sender can act on."""
