// Mail addresses out of header fields and command lines.
//
// Runs in: bulkhead-sendmail, as the site's user.  Input: what the site hands in (hostile).
// Ref: RFC 5322 3.4 (address lists, comments, groups), RFC 5321 4.1.2 and 4.5.3.1.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace bulkhead::mail {

constexpr size_t kAddressMax = 320;  // 64 octets, '@', 255 octets

// What may stand between < and > in an SMTP command: no control byte, blank or angle bracket
// outside quotes, not too long.  A name without a domain is left for the relay to complete.
[[nodiscard]] bool is_address(std::string_view text);
[[nodiscard]] bool is_ascii(std::string_view text);

// Every address of a list: 'A "b, c" <d@e>, (note) f@g; team: h@i, j@k;' gives d@e f@g h@i j@k.
// Appends what is_address() accepts; returns how many entries it did not.
size_t parse_addresses(std::string_view list, std::vector<std::string>* out);

}  // namespace bulkhead::mail
